using CutoffLen.Checkpoints;
using CutoffLen.Checkpoints.Gguf;
using CutoffLen.Common;
using CutoffLen.Models.Llama;
using CutoffLen.Positions.Methods;
using CutoffLen.Tokenization;

namespace CutoffLen.LlamaCppTests;

/// <summary>llama.cpp finds the tokens of an exported file as likely as this program does, far beyond the native length.</summary>
public sealed class LikelihoodTests : IDisposable
{
    private const int Length = 200;

    private static readonly string Demo = Path.Combine(Repository.Root, "configs", "demo");
    private static readonly string[] Refused =
    [
        "dynamic-linear", "dynamic-ntk", "dynamic-ntk-parts", "dynamic-yarn", "xpos", "rerope", "leaky-rerope", "self-extend", "dpe", "string", "lampe", "grouped", "recurrent", "dca", "alibi", "permute", "clex",
    ];

    // All files of one network have the same weights.
    private static readonly Dictionary<LlamaConfig, double[]> Vanilla = [];
    private static readonly Lazy<(int[] Ids, double[] Nll)> OfDemo = new(() =>
    {
        var ids = CheckpointTokenizer.Open(Path.Combine(Demo, "model")).Encode(File.ReadLines(Path.Combine(Demo, "persuasion.jsonl")).First())[..300];
        return (ids, Exported.Score(Path.Combine(Demo, "model"), ids));
    });

    private readonly TemporaryFolder folder = new();

    /// <summary>Every method that is not refused, and keys of theirs that llama.cpp has no key for.</summary>
    public static TheoryData<string> Specs =>
    [
        .. PositionMethods.All.Where(entry => !Refused.Contains(entry.Name)).Select(entry => entry.Example(Exported.Config.Positions)),
        "yarn:factor=4,attention_factor=1.3", "yarn:factor=4,beta_fast=8,beta_slow=2", "yarn:factor=4,truncate=false", "yarn+resonance", "linear:factor=4+resonance", "rope+temperature",
    ];

    /// <summary>Every network there is.</summary>
    public static TheoryData<string, string, string> Networks => new()
    {
        { "llama", "rope", "llama" }, { "llama tied", "yarn", "llama" }, { "llama with biases", "llama3", "llama" }, { "mistral", "rope", "llama" },
        { "qwen2", "rope", "qwen2" }, { "qwen2", "yarn", "qwen2" }, { "qwen2", "ntk", "qwen2" }, { "qwen2", "llama3", "llama" },
        { "qwen3", "rope", "qwen3" }, { "qwen3", "yarn", "qwen3" },
        { "smollm3", "rope@3::4=nope", "smollm3" }, { "smollm3", "yarn@3::4=nope", "smollm3" }, { "smollm3", "llama3", "llama" },
        { "ministral3", "yarn+temperature", "mistral3" }, { "ministral3", "yarn:attention_factor=1+temperature:beta=0.3", "mistral3" },
    };

    [Theory]
    [MemberData(nameof(Specs))]
    public void Of_every_position_method(string spec)
    {
        var (model, _) = Exported.Write(folder, Exported.Config, spec, target: 128);
        AssertSame(model, Exported.Config, spec);
    }

    [Theory]
    [MemberData(nameof(Networks))]
    public void Of_every_network(string network, string spec, string architecture)
    {
        var (model, report) = Exported.Write(folder, ConfigOf(network), spec, target: 128);
        Assert.Equal(architecture, report.Architecture);
        AssertSame(model, ConfigOf(network), spec);
    }

    [Fact]
    public void Longrope_takes_the_short_factors_where_the_context_is_short()
    {
        const string factors = "1/1.2/1.5/2/2.5/3/4/5";
        var config = Exported.Config with { MaxPositionEmbeddings = 512 };
        var (model, report) = Exported.Write(folder, config, $"longrope:factor=4,original=512,long=1/2/3/4/5/6/7/8,short={factors}", target: 2048);
        Assert.Contains(report.Notes, note => note.Contains("above 512 tokens", StringComparison.Ordinal));
        AssertSame(model, config, "longrope");
    }

    [Theory]
    [InlineData(GgufType.F32, 1e-3, 1e-4)]
    [InlineData(GgufType.BF16, 0.05, 2e-3)]
    [InlineData(GgufType.F16, 0.02, 1e-3)]
    [InlineData(GgufType.Q8, 0.2, 0.01)]
    public void Of_the_demo_in_every_element_type(GgufType type, double worst, double ofTheMean)
    {
        var report = GgufExport.Write(Path.Combine(Demo, "model"), folder["demo.gguf"], type);
        var (ids, ours) = OfDemo.Value;
        using var llama = new LlamaCpp(folder["demo.gguf"], 512);
        var theirs = llama.Nll(ids);
        Assert.InRange(Worst(ours, theirs), 0, worst);
        Assert.InRange(Math.Abs(ours.Average() - theirs.Average()), 0, ofTheMean);
        Assert.Equal((report.Type, "256", "llama"), (type == GgufType.Q8 ? "q8_0" : type.ToString().ToLowerInvariant(), llama.Metadata["llama.context_length"], llama.Metadata["general.architecture"]));
    }

    [Fact]
    public void Methods_without_a_form_are_refused_with_those_that_have_one()
    {
        Assert.All(Refused, name =>
        {
            var entry = PositionMethods.All.Single(entry => entry.Name == name);
            var spec = name == "clex" ? null : PositionMethods.Parse(entry.Example(Exported.Config.Positions));
            if (spec is not null)
            {
                var refusal = Assert.Throws<UserException>(() => GgufPositions.Of(Exported.Config.SetupFor(spec, 128))).Message;
                Assert.Contains($"'{name}", refusal, StringComparison.Ordinal);
                Assert.All(PositionMethods.All.Where(other => !Refused.Contains(other.Name)), other => Assert.Contains($" {other.Name},", refusal + ",", StringComparison.Ordinal));
            }
        });
    }

    [Theory]
    [InlineData("smollm3", "llama3@3::4=nope", "smollm3 takes rope")]
    [InlineData("qwen3", "llama3", "qwen3 takes rope")]
    [InlineData("olmo2", "rope", "no export of olmo2")]
    [InlineData("phi3", "rope", "no export of phi3")]
    [InlineData("mistral with windows", "rope", "no export of mistral with a sliding window")]
    [InlineData("llama", "rope@1=nope", "one set of frequencies")]
    [InlineData("llama", "yarn:original=32+temperature:original=64", "one set of frequencies")]
    [InlineData("llama with biases", "rope+temperature", "mistral3 has no biases")]
    public void So_are_networks_without_one_and_nothing_is_left(string network, string spec, string expected)
    {
        Assert.Contains(expected, Assert.Throws<UserException>(() => Exported.Write(folder, ConfigOf(network), spec, target: 128)).Message, StringComparison.Ordinal);
        Assert.Equal([folder["model"]], Directory.GetFileSystemEntries(folder.Root));
    }

    public void Dispose() => folder.Dispose();

    /// <summary>A network by its name in these tests.</summary>
    internal static LlamaConfig ConfigOf(string network) => network switch
    {
        "llama" => Exported.Config,
        "llama tied" => Exported.Config with { TieWordEmbeddings = true },
        "llama with biases" => Exported.Config with { QkvBias = true, OutputBias = true, MlpBias = true },
        "qwen2" => Exported.Config with { ModelType = network, QkvBias = true },
        "mistral with windows" => Exported.Config with { ModelType = "mistral", Windows = [16, 16] },
        "smollm3" => Exported.Config with { ModelType = network, NumHiddenLayers = 5 },
        _ => Exported.Config with { ModelType = network },
    };

    private void AssertSame(string model, LlamaConfig config, string spec)
    {
        var ids = Exported.Ids(Length);
        var ours = Exported.Score(model, ids);
        using var llama = new LlamaCpp(folder["model.gguf"], 256);
        Assert.InRange(Worst(ours, llama.Nll(ids)), 0, 1e-3);
        if (spec is not "rope")
        {
            // The tokens tell methods apart: with vanilla RoPE the file would not pass.
            if (!Vanilla.TryGetValue(config, out var vanilla))
            {
                Vanilla[config] = vanilla = Exported.Score(model, ids, "abf:base=10000");
            }

            Assert.True(Worst(vanilla, ours) > 0.05, $"{spec} scores as vanilla RoPE does");
        }
    }

    private static double Worst(double[] one, double[] other) => one.Zip(other, (a, b) => Math.Abs(a - b)).Max();
}
