using System.Diagnostics;
using CutoffLen.Checkpoints;
using CutoffLen.Common;
using CutoffLen.Tokenization;
using static TorchSharp.torch;

namespace CutoffLen.Cli.Tests.Checkpoints;

/// <summary>
/// 2,000 damaged checkpoints: each one loads, or ends in an error that names the file, soon and without taking memory
/// for what the file only claims to hold.
/// </summary>
public sealed class DamagedFilesTests : IDisposable
{
    // All that is ever allocated counts here, also error messages and what .NET's array pools round up to.
    private const int Slack = 256 << 10;

    private const string Sample = "Call me Ishmael. <|sep|> caf\u00E9 \u9CB8 \U0001F600 12345\n\n  the whale";

    private const string LlamaRules = """
        {"add_bos_token":true,"add_eos_token":false,"bos_token":"<s>","eos_token":{"content":"</s>"},"tokenizer_class":"LlamaTokenizer",
        "added_tokens_decoder":{"1":{"content":"<s>","special":true},"550":{"content":"<pad>","special":true}}}
        """;

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("model.safetensors", "sp-kept", 600)]
    [InlineData("model.safetensors.index.json", "sp-kept", 300)]
    [InlineData("config.json", "sp-kept", 400)]
    [InlineData("generation_config.json", "sp-kept", 100)]
    [InlineData("tokenizer.model", "sp-kept", 200)]
    [InlineData("tokenizer.json", "metaspace", 150)]
    [InlineData("tokenizer.json", "bytes", 150)]
    [InlineData("tokenizer_config.json", "sp-kept", 100)]
    public void Damaged_files_load_or_are_named(string name, string tokenizer, int cases)
    {
        var root = Prepare(sharded: name.Contains("index", StringComparison.Ordinal), tokenizer);
        var path = Path.Combine(root, name);
        var original = File.ReadAllBytes(path);
        // Once for what is only allocated the first time, once for what an undamaged checkpoint takes.
        Assert.Null(Use(root).Fault);
        var undamaged = Use(root).Bytes;
        var (loaded, slowest) = (0, TimeSpan.Zero);
        for (var seed = 0; seed < cases; seed++)
        {
            var damaged = Damage(name, original, seed);
            File.WriteAllBytes(path, damaged);
            var clock = Stopwatch.StartNew();
            var (fault, bytes) = Use(root);
            slowest = clock.Elapsed > slowest ? clock.Elapsed : slowest;
            loaded += fault is null ? 1 : 0;
            Assert.True(fault is null or UserException, $"{name}, seed {seed}: {fault}");
            Assert.True(fault is null || fault.Message.Contains(root, StringComparison.Ordinal), $"{name}, seed {seed} names no file: {fault?.Message}");
            Assert.True(bytes <= undamaged + (2 * damaged.Length) + Slack, $"{name}, seed {seed}: {bytes} bytes for a file of {damaged.Length}, {undamaged} for the undamaged one");
        }

        // Damage is found, but not all of it changes anything; a mutator that never or always hits would test nothing.
        Assert.InRange(loaded, 1, cases * 3 / 4);
        Assert.True(slowest < TimeSpan.FromSeconds(10), $"{slowest}");
    }

    [Theory]
    [InlineData("model.safetensors")]
    [InlineData("model.safetensors.index.json")]
    [InlineData("config.json")]
    [InlineData("tokenizer.model")]
    [InlineData("tokenizer_config.json")]
    public void The_program_exits_1_and_names_the_file(string name)
    {
        var root = Prepare(sharded: name.Contains("index", StringComparison.Ordinal), "sp-kept");
        var path = Path.Combine(root, name);
        var original = File.ReadAllBytes(path);
        for (int seed = 0, refused = 0; refused < 2; seed++)
        {
            File.WriteAllBytes(path, Damage(name, original, seed));
            if (Use(root).Fault is { } fault)
            {
                refused++;
                var result = Cutoff.Run("inspect", root).Exits(1);
                Assert.Empty(result.Output);
                Assert.Equal($"cutoff: {fault.Message}\n", result.Error);
            }
        }
    }

    private static byte[] Damage(string name, byte[] original, int seed)
    {
        var mutator = new Mutator(seed);
        return name.EndsWith(".json", StringComparison.Ordinal) ? mutator.Json(original)
            : name == "tokenizer.model" ? mutator.Binary(original)
            : mutator.Safetensors(original);
    }

    private string Prepare(bool sharded, string tokenizer)
    {
        var config = TinyCheckpoint.Config with { VocabSize = 600, HiddenSize = 8, IntermediateSize = 8 };
        var root = TinyCheckpoint.Save(folder["checkpoint"], config, maxShardBytes: sharded ? 8000 : long.MaxValue);
        var file = Directory.GetFiles(Golden.Path($"tokenizers/{tokenizer}"), "tokenizer.*").Single();
        File.Copy(file, Path.Combine(root, Path.GetFileName(file)));
        if (tokenizer != "bytes")
        {
            File.WriteAllText(Path.Combine(root, "tokenizer_config.json"), LlamaRules);
        }

        return root;
    }

    /// <summary>Loads everything there is and uses it; what went wrong, and the bytes of .NET memory it took.</summary>
    private static (Exception? Fault, long Bytes) Use(string root)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        Exception? fault = null;
        try
        {
            using var scope = NewDisposeScope();
            using var checkpoint = HuggingFaceCheckpoint.Open(root);
            _ = checkpoint.EosTokenIds;
            foreach (var weight in checkpoint.Load(dtype: ScalarType.Float32).parameters())
            {
                _ = weight.sum().item<float>();
            }

            var tokenizer = CheckpointTokenizer.Open(root, checkpoint.Config.VocabSize);
            _ = tokenizer.Description;
            _ = tokenizer.Decode(tokenizer.Encode(Sample));
        }
        catch (Exception thrown)
        {
            fault = thrown;
        }

        return (fault, GC.GetAllocatedBytesForCurrentThread() - before);
    }
}
