using System.Collections;
using System.Reflection;
using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Data;
using CutoffLen.Evaluation;
using CutoffLen.Training;
using FsCheck;
using FsCheck.Fluent;

namespace CutoffLen.Tests.Configuration;

public sealed class RunConfigTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    public static TheoryData<string, string> Properties()
    {
        var all = new TheoryData<string, string>();
        foreach (var section in typeof(RunConfig).GetProperties())
        {
            foreach (var key in section.PropertyType.GetProperties())
            {
                all.Add(section.Name, key.Name);
            }
        }

        return all;
    }

    [Fact]
    public void Without_anything_given_every_key_has_its_default()
    {
        var resolved = RunConfigReader.Resolve();
        Assert.Equal(RunConfigWriter.ToYaml(new RunConfig()), RunConfigWriter.ToYaml(resolved.Config));
        Assert.Empty(resolved.Given);
        Assert.Empty(resolved.Notes);
    }

    [Fact]
    public void Keys_are_the_properties_in_snake_case_each_once()
    {
        Assert.Equal(Properties().Count, ConfigKeys.All.Count);
        Assert.Equal(ConfigKeys.All.Count, ConfigKeys.All.Select(key => key.Name).Distinct().Count());
        string[] huggingFace =
        [
            "learning_rate", "lr_scheduler_type", "warmup_steps", "warmup_ratio", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon",
            "max_grad_norm", "max_steps", "num_train_epochs", "per_device_train_batch_size", "gradient_accumulation_steps", "seed",
            "dataloader_drop_last", "logging_steps", "save_steps", "save_total_limit", "eval_steps", "output_dir",
            "dataset_text_field", "lora_alpha", "lora_dropout", "modules_to_save", "use_rslora", "lora_r", "lora_target_modules", "loraplus_lr_ratio", "cutoff_len",
        ];
        Assert.Empty(huggingFace.Except(ConfigKeys.All.Select(key => key.Name)));
    }

    [Theory]
    [MemberData(nameof(Properties))]
    public void What_is_written_reads_back_for_every_key(string section, string property)
    {
        foreach (var value in Others(section, property))
        {
            var config = With(section, property, value);
            var path = folder.Write("config.yaml", RunConfigWriter.ToYaml(config));
            var read = Read(path);
            foreach (var (s, p) in Properties().Select(row => ((string)row[0], (string)row[1])))
            {
                AssertSame(Get(config, s, p), Get(read, s, p), $"{p} after {property} = {value}");
            }
        }

        // The file is the same when written again.
        Assert.Equal(File.ReadAllText(folder["config.yaml"]), RunConfigWriter.ToYaml(Read(folder["config.yaml"])));
    }

    [Theory]
    [MemberData(nameof(Properties))]
    public void Every_key_can_be_set_from_the_command_line_over_the_file(string section, string property)
    {
        var key = ConfigKeys.All.Single(k => k.Section + k.Name == Snake(section) + Snake(property));
        var values = Others(section, property).Where(value => value is not IEnumerable list || list.Cast<object>().All(item => !$"{item}".Contains(','))).ToList();
        var (inFile, inFlag) = (With(section, property, values[0]), values[^1]);
        var path = folder.Write("config.yaml", RunConfigWriter.ToYaml(inFile));
        var formatted = key.Format(inFlag);
        var text = string.Join(',', (formatted.Items ?? [formatted]).Select(item => item.Text));
        if (key.IsList || text.Length > 0)
        {
            AssertSame(inFlag, Get(Read(path, sets: [$"{key.Name}={text}"]), section, property), property);
            AssertSame(inFlag, Get(Read(path, options: [new("--option", key.Name, text)]), section, property), property);
        }
    }

    [Fact]
    public void Texts_of_any_characters_survive()
    {
        var texts = ArbMap.Default.ArbFor<NonNull<string>>().Generator.Select(text => new string([.. text.Get.Where(c => !char.IsSurrogate(c) && c != '\0')]));
        var tricky = Gen.Elements("null", "G\n", "~", "true", "12", "1e5", "- a", "a: b", "a #b", "#", "'", "\"", "\\", "[a]", "{a}", "*a", "&a", "!a", "%", "@", "`", "a\nb", " a ", "", "😀", "é", "\t", "\u0085", "\u2028", "\uFEFF", "-", "--- x", "? a", "|", ">");
        Prop.ForAll(Gen.OneOf(texts, tricky).ListOf().ToArbitrary(), paths =>
        {
            var config = new RunConfig { Data = new DataConfig { Data = [.. paths], CacheDir = paths.FirstOrDefault() } };
            var read = Read(folder.Write("config.yaml", RunConfigWriter.ToYaml(config)));
            Assert.Equal(paths, read.Data.Data);
            Assert.Equal(paths.FirstOrDefault(), read.Data.CacheDir);
        }).Check(Config.QuickThrowOnFailure.WithReplay(20261121, 1).WithMaxTest(300));
    }

    [Fact]
    public void The_command_line_wins_over_the_file_and_set_over_both()
    {
        var path = folder.Write("run.yaml", "learning_rate: 1e-4\nseed: 1\nmax_steps: 10\n");
        var resolved = RunConfigReader.Resolve(path, [new("--seed", "seed", "2"), new("--steps", "max_steps", "20")], ["max_steps=30"]);
        Assert.Equal((1e-4, 2, 30), (resolved.Config.Training.LearningRate, resolved.Config.Training.Seed, resolved.Config.Training.MaxSteps));
        Assert.Equal(["learning_rate", "max_steps", "seed"], resolved.Given.Order());
    }

    [Theory]
    [InlineData("[q_proj, v_proj]", "q_proj", "v_proj")]
    [InlineData("q_proj,v_proj", "q_proj", "v_proj")]
    [InlineData("[all-linear]", "all-linear")]
    [InlineData("[a-z.]+proj.[ab]", "[a-z.]+proj.[ab]")]
    public void A_list_is_set_with_brackets_or_without(string text, params string[] expected) =>
        Assert.Equal(expected, RunConfigReader.Resolve(sets: [$"lora_target_modules={text}"]).Config.Lora.LoraTargetModules);

    [Fact]
    public void A_file_reads_as_its_author_would_expect()
    {
        var config = Read(folder.Write("run.yaml", """
            # a run
            model: checkpoints/tiny   # a comment
            data:
              - books/*.txt
              - more.jsonl
            cutoff_len: 8k
            target_len: 32K
            positions: "pose:chunks=3"
            rope: yarn:factor=4,original=2048
            packing: Documents
            learning_rate: 2.0e-5
            lr_scheduler_type: cosine
            max_steps: ~
            save_total_limit:
            lengths: 1k..4k
            eval_data: held-out.txt
            lora_target_modules: [q_proj, v_proj]
            method: lora
            use_rslora: True
            optimizer: adamw_torch
            """));
        Assert.Equal("checkpoints/tiny", config.Model.Model);
        Assert.Equal(["books/*.txt", "more.jsonl"], config.Data.Data);
        Assert.Equal((8192, 32768, "pose:chunks=3", Packing.Documents), (config.Data.CutoffLen, config.Data.TargetLen, config.Data.Positions, config.Data.Packing));
        Assert.Equal((2e-5, ScheduleShape.Cosine, null, null), (config.Training.LearningRate, config.Training.LrSchedulerType, config.Training.MaxSteps, config.Training.SaveTotalLimit));
        Assert.Equal([1024, 2048, 4096], config.Evaluation.Lengths);
        Assert.Equal(["held-out.txt"], config.Evaluation.EvalData);
        Assert.Equal(["q_proj", "v_proj"], config.Lora.LoraTargetModules);
        Assert.Equal((TrainingMethod.Lora, true, OptimizerKind.Adamw), (config.Training.Method, config.Lora.UseRslora, config.Training.Optimizer));
    }

    [Theory]
    [InlineData("max_seq_len")]
    [InlineData("sequence_len")]
    [InlineData("model_max_length")]
    public void Other_names_of_the_cutoff_are_accepted_and_reported(string name)
    {
        var path = folder.Write("run.yaml", $"{name}: 4k");
        var resolved = RunConfigReader.Resolve(path);
        Assert.Equal(4096, resolved.Config.Data.CutoffLen);
        Assert.Equal($"{path} line 1: {name} is read as cutoff_len", Assert.Single(resolved.Notes));
        Assert.Contains("cutoff_len", resolved.Given);
    }

    [Theory]
    [InlineData(null, 3, 1, 3)]
    [InlineData(4096, 1, 1, 4)]
    [InlineData(4096, 1, 2, 2)]
    public void A_step_is_given_in_passes_or_in_tokens(int? tokensPerStep, int accumulation, int batch, int passes)
    {
        var training = new TrainingConfig { TokensPerStep = tokensPerStep, GradientAccumulationSteps = accumulation, PerDeviceTrainBatchSize = batch };
        Assert.Equal(passes, training.AccumulationSteps(cutoff: 1024));
    }

    [Fact]
    public void Ranks_are_whole_groups_that_share_sequences()
    {
        Assert.Equal(4, new TrainingConfig().DataParallelSize(ranks: 4));
        Assert.Equal(2, new TrainingConfig { ContextParallelSize = 2 }.DataParallelSize(ranks: 4));
        var fault = Assert.Throws<UserException>(() => new TrainingConfig { ContextParallelSize = 3 }.DataParallelSize(ranks: 4));
        Assert.Contains("context_parallel_size: 3 needs a multiple of 3 ranks, and this run has 4", fault.Message);
    }

    private static RunConfig Read(string path, ConfigOption[]? options = null, string[]? sets = null) =>
        RunConfigReader.Resolve(path, options, sets).Config;

    /// <summary>Values of a property that differ from its default and are allowed with all other keys at theirs.</summary>
    private static IEnumerable<object?> Others(string section, string property)
    {
        var value = Get(new RunConfig(), section, property);
        var type = typeof(RunConfig).GetProperty(section)!.PropertyType.GetProperty(property)!.PropertyType;
        return (property, value) switch
        {
            ("Rope", _) => ["yarn:factor=4,original=2048", "xpos:scale_base=512+bca:window=1024"],
            ("Positions", _) => ["pose:chunks=3", "longrecipe"],
            ("Protocol" or "EvalProtocol", _) => ["llamacpp-half", "pi-s512"],
            ("DatasetTextField", _) => ["content", "a b: #c"],
            ("Device", _) => ["cuda:1", "cpu"],
            ("Dtype", _) => ["fp32", "bf16"],
            ("Attention", _) => ["sdpa", "blocked"],
            ("LoraTargetModules", _) => [new List<string> { "up_proj" }, new List<string> { "q_proj", "down_proj" }],
            ("ModulesToSave", _) => [new List<string>(), new List<string> { "lm_head" }],
            ("Lengths" or "EvalLengths" or "Cutoffs", _) => [new List<int> { 128, 5000 }],
            ("Ropes", _) => [new List<SweepRow> { new("rope"), new("linear:factor=2") }, new List<SweepRow> { new("clex", "clex", 5000), new("yarn:factor=4,original=2048", TargetLen: 64) }],
            ("FinetuneRopes", _) => [new List<string>()],
            (_, IReadOnlyList<string>) => [new List<string> { "a b.txt", "c,d", "*.jsonl" }, new List<string> { "x" }, new List<string>()],
            (_, bool flag) => [!flag],
            ("LoraplusLrRatio", _) => [16.25],
            (_, double) => [0.123456789012345678, 1e-7, 0.5],
            (_, Enum) => Enum.GetValues(type).Cast<object?>().Where(other => !Equals(other, value)),
            _ when Nullable.GetUnderlyingType(type) is { IsEnum: true } words => Enum.GetValues(words).Cast<object?>(),
            _ when type == typeof(int) => [7, 1234],
            _ when type == typeof(int?) => [7, null],
            _ when type == typeof(string) => ["a path/with: odd #things", null],
            _ => throw new NotSupportedException($"the test does not know values of {property}"),
        };
    }

    private static RunConfig With(string section, string property, object? value)
    {
        var config = new RunConfig();
        var part = typeof(RunConfig).GetProperty(section)!.GetValue(config)!;
        part.GetType().GetProperty(property)!.SetValue(part, value);
        return config;
    }

    private static object? Get(RunConfig config, string section, string property)
    {
        var part = typeof(RunConfig).GetProperty(section, BindingFlags.Public | BindingFlags.Instance)!.GetValue(config)!;
        return part.GetType().GetProperty(property)!.GetValue(part);
    }

    private static void AssertSame(object? expected, object? actual, string what)
    {
        var same = expected is IEnumerable list and not string
            ? list.Cast<object>().SequenceEqual(((IEnumerable)actual!).Cast<object>())
            : Equals(expected, actual);
        Assert.True(same, $"{what}: {expected} became {actual}");
    }

    private static string Snake(string name) => System.Text.Json.JsonNamingPolicy.SnakeCaseLower.ConvertName(name);
}
