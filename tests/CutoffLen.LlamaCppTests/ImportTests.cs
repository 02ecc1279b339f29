using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;
using CutoffLen.Checkpoints.Gguf;
using CutoffLen.Common;
using CutoffLen.Models.Llama;
using CutoffLen.Positions.Methods;
using CutoffLen.Tokenization;
using static TorchSharp.torch;

namespace CutoffLen.LlamaCppTests;

/// <summary>What an exported file is read back as: the network, the positions, the numbers. That llama.cpp computes the same of it is tested beside this.</summary>
public sealed class ImportTests : IDisposable
{
    private const int Target = 128;

    private static readonly string[] NetworkKeys =
    [
        "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "rms_norm_eps", "tie_word_embeddings",
        "max_position_embeddings",
    ];

    private readonly TemporaryFolder folder = new();

    /// <summary>A network and positions, and what they come back as.</summary>
    public static TheoryData<string, string, string, string> Same => new()
    {
        { "llama", "rope", "llama", "rope" },
        { "llama tied", "linear:factor=4", "llama", "linear:factor=4" },
        { "llama with biases", "yarn:factor=4", "llama", "yarn:factor=4,original=32" },
        { "mistral", "yarn:factor=4,attention_factor=1.3", "llama", "yarn:factor=4,original=32,attention_factor=1.3" },
        { "llama", "llama3:factor=4", "llama", "llama3:factor=4,original=32,low_freq_factor=1,high_freq_factor=4" },
        { "llama", "longrope:factor=4,long=1/2/3/4/5/6/7/8,short=1/1.2/1.5/2/2.5/3/4/5,attention_factor=1.2", "llama", "longrope:factor=4,original=32,long=1/2/3/4/5/6/7/8,short=1/1.2/1.5/2/2.5/3/4/5,attention_factor=1.2" },
        { "qwen2", "linear:factor=4", "qwen2", "linear:factor=4" },
        { "qwen2", "llama3:factor=4", "qwen2", "llama3:factor=4,original=32,low_freq_factor=1,high_freq_factor=4" }, // in the file llama
        { "qwen3", "yarn:factor=4", "qwen3", "yarn:factor=4,original=32" },
        { "smollm3", "yarn:factor=4@3::4=nope", "smollm3", "yarn:factor=4,original=32@3=nope" },
        { "ministral3", "yarn:factor=4+temperature", "ministral3", "yarn:factor=4,original=32+temperature" },
    };

    [Theory]
    [MemberData(nameof(Same))]
    public void Networks_and_positions_come_back_and_score_in_the_same_bits(string network, string spec, string modelType, string expected)
    {
        var (model, _) = Exported.Write(folder, LikelihoodTests.ConfigOf(network) with { RmsNormEps = 1e-5 }, spec, Target);
        var readBack = Exported.ReadBack(folder);
        var (before, after) = (ConfigIn(model), ConfigIn(readBack));
        Assert.Equal(modelType, (string)after["model_type"]!);
        Assert.All(NetworkKeys, key => Assert.Equal((key, Text(before, key)), (key, Text(after, key))));
        Assert.StartsWith(expected, SpecIn(readBack), StringComparison.Ordinal);
        Assert.Equal(Exported.Score(model, Exported.Ids(200)), Exported.Score(readBack, Exported.Ids(200)));

        // Nothing is lost: exported once more it is the same file.
        GgufExport.Write(readBack, folder["again.gguf"]);
        Assert.True(File.ReadAllBytes(folder["model.gguf"]).AsSpan().SequenceEqual(File.ReadAllBytes(folder["again.gguf"])), "the file differs");
    }

    [Theory]
    [InlineData("abf:base=123456.7", "rope")]
    [InlineData("ntk:factor=4", "rope")]
    [InlineData("ntk-parts:factor=4", "longrope")]
    [InlineData("yarn:factor=4,beta_fast=8,beta_slow=2", "longrope")]
    [InlineData("llama3:factor=4,low_freq_factor=2,high_freq_factor=5", "longrope")]
    public void Positions_without_keys_of_their_own_come_back_as_the_same_frequencies(string spec, string method)
    {
        var (model, _) = Exported.Write(folder, Exported.Config, spec, Target);
        var readBack = Exported.ReadBack(folder);
        Assert.StartsWith(method, SpecIn(readBack), StringComparison.Ordinal);
        var (before, after) = (Exported.Score(model, Exported.Ids(200)), Exported.Score(readBack, Exported.Ids(200)));
        Assert.InRange(before.Zip(after, (a, b) => Math.Abs(a - b)).Max(), 0, 1e-4); // frequencies and factors are float32 in the file
    }

    [Theory]
    [InlineData("p-rope")]
    [InlineData("nope")]
    public void Pairs_that_stand_still_are_refused(string spec)
    {
        Exported.Write(folder, Exported.Config, spec, Target);
        Assert.StartsWith($"{folder["model.gguf"]}: config.json: rope_scaling", Assert.Throws<UserException>(() => Exported.ReadBack(folder)).Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(folder["cache/cutoff/gguf"]));
    }

    [Theory]
    [InlineData(GgufType.F32, 0)]
    [InlineData(GgufType.BF16, 1 / 256.0)]
    [InlineData(GgufType.F16, 1 / 2048.0)]
    [InlineData(GgufType.Q8, (1 / 254.0) + (1 / 2048.0))] // the scale is float16
    public void Every_element_type_is_read_to_its_rounding(GgufType type, double relative)
    {
        Exported.Write(folder, Exported.Config, "rope", Target);
        GgufExport.Write(folder["model"], folder["typed.gguf"], type);
        var (before, after) = (Weights(folder["model"]), Weights(Exported.ReadBack(folder, "typed.gguf")));
        Assert.Equal(before.Keys, after.Keys);
        foreach (var (name, expected) in before)
        {
            // Half a step: of q8_0 the largest of 32 numbers is 127 steps, of the others each number has its own.
            var isVector = name.Contains("norm", StringComparison.Ordinal);
            var steps = expected.Chunk(GgufTypes.BlockSize).SelectMany(block => block.Select(value => type == GgufType.Q8 ? block.Max(number => Math.Abs(number)) : Math.Abs(value)));
            Assert.All(expected.Zip(after[name], steps), pair => Assert.InRange(Math.Abs(pair.First - pair.Second), 0, isVector ? 0 : (pair.Third * relative * 1.01) + 1e-7));
            Assert.True(isVector || relative == 0 || !expected.SequenceEqual(after[name]), $"{name} is not in {type}");
        }
    }

    [Theory]
    [InlineData(GgufType.F16, 0.01, 1e-3)]
    [InlineData(GgufType.Q8, 0.1, 5e-3)]
    public void A_file_scores_as_in_llama_cpp_and_its_texts_get_the_same_ids(GgufType type, double worst, double ofTheMean)
    {
        GgufExport.Write(Path.Combine(Repository.Root, "configs", "demo", "model"), folder["demo.gguf"], type);
        var readBack = Exported.ReadBack(folder, "demo.gguf");
        Assert.Equal(("1", "2"), (Text(ConfigIn(readBack), "bos_token_id"), Text(ConfigIn(readBack), "eos_token_id")));
        using var llama = new LlamaCpp(folder["demo.gguf"], 512);
        var text = (string)JsonNode.Parse(File.ReadLines(Path.Combine(Repository.Root, "configs", "demo", "persuasion.jsonl")).First())!["text"]!;
        var ids = CheckpointTokenizer.Open(readBack).Encode(text[..2000]);
        Assert.Equal(llama.Encode(text[..2000], addSpecial: true), ids);
        var (ours, theirs) = (Exported.Score(readBack, ids[..300]), llama.Nll(ids[..300]));
        Assert.InRange(ours.Zip(theirs, (a, b) => Math.Abs(a - b)).Max(), 0, worst);
        Assert.InRange(Math.Abs(ours.Average() - theirs.Average()), 0, ofTheMean);
    }

    [Theory]
    [InlineData("[2]")]
    [InlineData("[7, 2]")]
    [InlineData("[7, 2, 9]")]
    public void A_generation_ends_at_the_same_tokens_there_and_when_read_back(string ends)
    {
        TinyCheckpoint.SaveWithTexts(folder, texts: 0);
        folder.Write("model/generation_config.json", $$"""{"eos_token_id": {{ends}}}""");
        var report = GgufExport.Write(folder["model"], folder["model.gguf"]);
        using var llama = new LlamaCpp(folder["model.gguf"]);
        int[] expected = [.. JsonNode.Parse(ends)!.AsArray().Select(id => (int)id!).Order()];
        Assert.Equal(expected, llama.Ends);
        using var opened = ModelFolder.Open(Exported.ReadBack(folder));
        Assert.Equal(expected, opened.Checkpoint.EosTokenIds.Order());
        Assert.DoesNotContain(report.Notes, note => note.Contains("end a generation", StringComparison.Ordinal));
    }

    [Fact]
    public void More_tokens_that_end_a_generation_than_a_file_names_are_said()
    {
        TinyCheckpoint.SaveWithTexts(folder, texts: 0);
        folder.Write("model/generation_config.json", """{"eos_token_id": [2, 7, 9, 11]}""");
        Assert.Contains(GgufExport.Write(folder["model"], folder["model.gguf"]).Notes, note => note.StartsWith("a GGUF file names three tokens that end a generation; llama.cpp goes on after '", StringComparison.Ordinal));
    }

    public void Dispose() => folder.Dispose();

    private static JsonObject ConfigIn(string model) => JsonNode.Parse(File.ReadAllText(Path.Combine(model, "config.json")))!.AsObject();

    private static string Text(JsonObject json, string key) => json[key]?.ToString() ?? "none";

    private static string SpecIn(string model)
    {
        using var opened = ModelFolder.Open(model);
        return opened.Config.SetupFor(PositionMethods.Auto, Target).Spec.ToString();
    }

    private static Dictionary<string, float[]> Weights(string model)
    {
        using var scope = NewDisposeScope();
        using var opened = ModelFolder.Open(model);
        var source = opened.Checkpoint.Weights(dtype: ScalarType.Float32);
        return LlamaParameters.Of(opened.Config).ToDictionary(parameter => parameter.Name, parameter => source(parameter.Name, parameter.Shape).Dense().data<float>().ToArray());
    }
}
