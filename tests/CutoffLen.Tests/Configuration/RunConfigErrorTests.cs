using CutoffLen.Common;
using CutoffLen.Configuration;

namespace CutoffLen.Tests.Configuration;

public sealed class RunConfigErrorTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("learning_rte: 1", "line 1: unknown key 'learning_rte' (did you mean learning_rate?)")]
    [InlineData("seed: 1\nLora_R: 2", "line 2: unknown key 'Lora_R' (did you mean lora_r?)")]
    [InlineData("nonsense_of_mine: 1", "unknown key 'nonsense_of_mine'")]
    [InlineData("gradient_checkpointing: true", "here it is recompute: layers")]
    [InlineData("seed: 1\n\nseed: 2", "line 3: seed is given twice; first as seed at")]
    [InlineData("cutoff_len: 1k\nmax_seq_len: 2k", "line 2: max_seq_len is given twice; first as cutoff_len at")]
    [InlineData("learning_rate: fast", "line 1: learning_rate: 'fast' is not a number, above 0 and at most 10")]
    [InlineData("learning_rate: 0", "'0' is not a number, above 0")]
    [InlineData("learning_rate: -1e-4", "above 0")]
    [InlineData("learning_rate: .nan", "above 0")]
    [InlineData("learning_rate: NaN", "above 0")]
    [InlineData("learning_rate: Infinity", "above 0")]
    [InlineData("adam_beta1: 1", "at least 0 and below 1")]
    [InlineData("max_steps: 2.5", "'2.5' is not a whole number, at least 1, or null")]
    [InlineData("max_steps: 99999999999", "'99999999999' is not a whole number")]
    [InlineData("cutoff_len: 8q", "'8q' is not a length")]
    [InlineData("cutoff_len: 1k..4k", "'1k..4k' is not a length in tokens")]
    [InlineData("cutoff_len: 1", "at least 2")]
    [InlineData("lengths: [1k, 8z]", "'8z' is not a length")]
    [InlineData("lengths: 1..4", "at least 2")]
    [InlineData("packing: dense", "'dense' is not one of documents, concat, pad")]
    [InlineData("dtype: fp16", "'fp16' is not one of auto, fp32, bf16")]
    [InlineData("ropes: [rope, yarm]", "ropes: position spec 'yarm': unknown method 'yarm' (did you mean yarn?)")]
    [InlineData("ropes:\n- rope\n- {rope: clex, positons: clex}", "line 1: ropes: 'positons' is not a key of a position method (did you mean positions?); they are rope, positions, target_len")]
    [InlineData("ropes: [{rope: clex, learning_rate: 1}]", "ropes: 'learning_rate' is not a key of a position method; they are rope, positions, target_len")]
    [InlineData("ropes: [{positions: clex}]", "line 1: ropes: rope is missing in a mapping")]
    [InlineData("ropes: [linear: factor=2]", "line 1: ropes: 'linear' is not a key of a position method")]
    [InlineData("ropes: [{rope: clex, target_len: 4kk}]", "line 1: ropes: target_len: '4kk' is not a length")]
    [InlineData("ropes: [{rope: clex, rope: yarn}]", "line 1: ropes: rope: given twice")]
    [InlineData("ropes: [{rope: [clex]}]", "line 1: rope: must be a text or a number within an item of a list")]
    [InlineData("ropes: [{rope: clex, positions: clx}]", "ropes: positions 'clx'")]
    [InlineData("ropes: [{rope: clex, target_len: 2k}]\ncutoffs: [4k]", "target_len: 2048 is shorter than 4096 of cutoffs")]
    [InlineData("data: [{rope: clex}]", "line 1: data: the items of a list must be texts or numbers")]
    [InlineData("ropes: [rope, linear]\nfinetune_ropes: [yarn]", "finetune_ropes: 'yarn' is not one of ropes: rope, linear")]
    [InlineData("cutoffs: [1k, 3k]\ntokens_per_step: 2k", "cutoffs: tokens_per_step: 2048 is not a multiple")]
    [InlineData("cutoffs: [1k, 4k]\ntarget_len: 2k\npositions: pose", "target_len: 2048 is shorter than 4096 of cutoffs")]
    [InlineData("use_rslora: yes", "'yes' is not true or false")]
    [InlineData("lora_target_modules: '(q_proj'", "lora_target_modules: '(q_proj' is not a regular expression")]
    [InlineData("seed: [1, 2]", "a list is not a whole number")]
    [InlineData("seed: null", "null is not a whole number")]
    [InlineData("seed:", "null is not a whole number")]
    [InlineData("seed: ''", "'' is not a whole number")]
    [InlineData("data: [a.txt, [b.txt]]", "line 1: data: the items of a list must be texts")]
    [InlineData("data: [a.txt, null]", "data: the items of a list must be texts")]
    [InlineData("lora:\n  r: 8\nseeed: 1", "line 3: unknown key 'seeed'")]
    [InlineData("lora:\n  r: 8", "line 2: lora: holds a mapping, but keys are flat; write lora_r: value")]
    [InlineData("x: &a 1\nseed: *a", "anchors and aliases are not supported")]
    [InlineData("? [a, b]\n: 1\nseed: x", "a key must be a word")]
    [InlineData("- a\n- b", "a configuration is lines of 'key: value'")]
    [InlineData("just a word", "a configuration is lines of 'key: value'")]
    [InlineData("seed: 1\n---\nseed: 2", "one YAML document")]
    [InlineData("seed: [1", "not YAML")]
    [InlineData("seed: 1\n\tmodel: x", "not YAML")]
    [InlineData("a: b: c", "line 1")]
    [InlineData("rope: yarm", "rope: position spec 'yarm'")]
    [InlineData("rope: yarn:factor=-1", "rope: ")]
    [InlineData("positions: poze", "positions: positions 'poze' are not known")]
    [InlineData("model: !!binary aaaa", "line 1: model: the tag tag:yaml.org,2002:binary is not supported; write the value")]
    [InlineData("data: [a, !x b]", "line 1: data: the items of a list must be texts or numbers")]
    [InlineData("seed: 1\ndata: [a, b\nmodel: m\nrope: yarn:factor=4\n", "run.yaml line 2: not YAML from here on; is a ']', '}' or quote missing?")]
    [InlineData("protocol: ppl", "protocol: there is no protocol 'ppl'")]
    [InlineData("device: gpu", "device: 'gpu' is not one of auto, cpu, cuda, cuda:N")]
    [InlineData("cutoff_len: 8k\ntarget_len: 4k\npositions: pose", "target_len: 4096 is shorter than cutoff_len 8192")]
    [InlineData("cutoff_len: 4k\ntarget_len: 8k", "plain never reach beyond a sequence")]
    [InlineData("cutoff_len: 1k\ntokens_per_step: 1500", "not a multiple of per_device_train_batch_size * cutoff_len = 1024")]
    [InlineData("tokens_per_step: 4k\ngradient_accumulation_steps: 4", "say the same")]
    [InlineData("method: lora\nlora_target_modules: []", "lora_target_modules: the list is empty")]
    public void A_fault_in_the_file_is_named_with_what_is_allowed(string yaml, string expected)
    {
        var path = folder.Write("run.yaml", yaml);
        var message = Assert.Throws<UserException>(() => RunConfigReader.Resolve(path)).Message;
        Assert.Contains(expected, message);
    }

    [Fact]
    public void So_is_an_empty_list_of_the_command_line() => Assert.Equal(
        "lora_target_modules: the list is empty; with method: lora at least one projection needs adapters",
        Assert.Throws<UserException>(() => RunConfigReader.Resolve(sets: ["method=lora", "lora_target_modules=[]"])).Message);

    [Fact]
    public void All_faults_are_reported_together_each_with_its_place()
    {
        var path = folder.Write("run.yaml", "seeed: 1\nlearning_rate: 0\nmodel: m\npacking: x\n");
        var lines = Assert.Throws<UserException>(() => RunConfigReader.Resolve(
            path, [new("--steps", "max_steps", "none")], ["lora_r=0", "broken"])).Message.Split('\n');
        Assert.Equal(6, lines.Length);
        Assert.StartsWith("--set broken: write key=value", lines.Single(line => line.Contains("broken")));
        Assert.Contains(lines, line => line.StartsWith($"{path} line 1: unknown key 'seeed'", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith($"{path} line 2: learning_rate", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith($"{path} line 4: packing", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("--steps none: max_steps: 'none'", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("--set lora_r=0: lora_r: '0' is not a whole number, at least 1", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("")]
    [InlineData("# nothing\n")]
    [InlineData("---\n")]
    [InlineData("null")]
    public void A_file_without_keys_sets_nothing(string yaml) => Assert.Empty(RunConfigReader.Resolve(folder.Write("run.yaml", yaml)).Given);

    [Fact]
    public void A_missing_file_and_a_folder_are_the_users_error()
    {
        Assert.Contains(folder["no.yaml"], Assert.Throws<UserException>(() => RunConfigReader.Resolve(folder["no.yaml"])).Message);
        Assert.Contains(folder.Root, Assert.Throws<UserException>(() => RunConfigReader.Resolve(folder.Root)).Message);
    }

    [Fact]
    public void A_file_that_is_not_UTF_8_is_not_read_with_other_letters()
    {
        var path = folder.Write("run.yaml", [.. "seed: 1\nmodel: caf"u8, 0xE9, .. "\n"u8]);
        Assert.Equal(
            $"{path} line 2: not UTF-8: byte 0xE9 at offset 18; convert the file to UTF-8", Assert.Throws<UserException>(() => RunConfigReader.Resolve(path)).Message);
    }

    [Fact]
    public void A_bomb_of_anchors_or_of_nesting_is_harmless()
    {
        var anchors = "a: &a [x,x,x,x,x,x,x,x,x]\n" + string.Concat(Enumerable.Range('b', 20).Select(
            c => $"{(char)c}: &{(char)c} [{string.Join(',', Enumerable.Repeat($"*{(char)(c - 1)}", 9))}]\n"));
        Assert.Contains("unknown key 'a'", Assert.Throws<UserException>(() => RunConfigReader.Resolve(folder.Write("a.yaml", anchors))).Message);
        var nested = "data: " + new string('[', 500_000);
        Assert.Contains("nested more than 16 deep", Assert.Throws<UserException>(() => RunConfigReader.Resolve(folder.Write("b.yaml", nested))).Message);
        var large = folder.Write("c.yaml", "data: " + new string('x', 2_000_000));
        Assert.Contains("too large", Assert.Throws<UserException>(() => RunConfigReader.Resolve(large)).Message);
    }

    [Theory]
    [InlineData("Seed", "--Seed 3: unknown key 'Seed' (did you mean seed?)")]
    [InlineData("max-steps", null)]
    public void Keys_of_the_command_line_may_have_dashes(string flag, string? expected)
    {
        ConfigOption[] options = [new($"--{flag}", flag, "3")];
        if (expected is null)
        {
            Assert.Equal(3, RunConfigReader.Resolve(options: options).Config.Training.MaxSteps);
        }
        else
        {
            Assert.Contains(expected, Assert.Throws<UserException>(() => RunConfigReader.Resolve(options: options)).Message);
        }
    }
}
