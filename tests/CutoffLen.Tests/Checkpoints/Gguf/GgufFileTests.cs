using System.Buffers.Binary;
using System.Text;
using CutoffLen.Checkpoints;
using CutoffLen.Checkpoints.Gguf;
using CutoffLen.Common;
using CutoffLen.Models.Llama;

namespace CutoffLen.Tests.Checkpoints.Gguf;

/// <summary>Files that break the format, or hold what is not read. What whole ones are read as, tests/CutoffLen.LlamaCppTests says.</summary>
public sealed class GgufFileTests : IDisposable
{
    private const string Tensor = "blk.1.ffn_up.weight";

    private static readonly LlamaConfig Config = TinyCheckpoint.Config with { HiddenSize = 32, HeadDim = 8 };
    private readonly TemporaryFolder folder = new();
    private readonly string? cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
    private readonly byte[] whole;

    public GgufFileTests()
    {
        Environment.SetEnvironmentVariable("XDG_CACHE_HOME", folder["cache"]);
        GgufExport.Write(TinyCheckpoint.Save(folder["model"], Config), folder["x.gguf"], GgufType.F32);
        whole = File.ReadAllBytes(folder["x.gguf"]);
    }

    [Fact]
    public void A_folder_is_made_once_and_names_its_file()
    {
        var made = GgufImport.Folder(folder["x.gguf"]);
        Assert.Equal("x", ModelFolder.NameOf(made));
        Assert.Equal((folder["x.gguf"], folder["model"]), (ModelFolder.Portable(made), ModelFolder.Portable(folder["model"])));
        File.SetLastWriteTimeUtc(Path.Combine(made, "config.json"), DateTime.UnixEpoch);
        Assert.Equal(made, GgufImport.Folder(folder["x.gguf"]));
        Assert.Equal(DateTime.UnixEpoch, File.GetLastWriteTimeUtc(Path.Combine(made, "config.json")));

        // A file that was written since is read anew.
        BinaryPrimitives.WriteInt32LittleEndian(whole.AsSpan(After("llama.context_length", 4)), 32);
        File.WriteAllBytes(folder["x.gguf"], whole);
        Assert.Equal((64, 32), (ContextIn(made), ContextIn(GgufImport.Folder(folder["x.gguf"]))));

        // Weights that are cut off later are found when it is opened.
        File.WriteAllBytes(folder["x.gguf"], whole[..^40]);
        Assert.StartsWith($"{folder["x.gguf"]}: tensor 'output.weight' has", Assert.Throws<UserException>(() => ModelFolder.Open(GgufImport.Folder(folder["x.gguf"]))).Message, StringComparison.Ordinal);
    }

    /// <summary>Where bytes are changed: behind a name, so many bytes after it; to what; and the words.</summary>
    public static TheoryData<string, int, long, int, string> Damages => new()
    {
        { "GGUF", 0, 4, 4, "GGUF version 4" },
        { "GGUF", 4, 200_000, 8, "announces 200000 tensors" },
        { "GGUF", 12, -1, 8, "announces 18446744073709551615 keys" },
        { "GGUF", 20, long.MaxValue, 8, "bytes of a text, more than the file can hold" },
        { "general.type", 0, 77, 4, "has a value of type 77" },
        { "general.name", 0, 9, 4, "values of 'general.name', more than the file can hold" }, // the text is the count then
        { "llama.block_count", 4, 3, 4, "missing tensors: 'model.layers.2." },
        { "llama.block_count", 4, 1 << 30, 4, "\"num_hidden_layers\" is 1073741824" },
        { "llama.embedding_length", 4, 64, 4, "config.json asks for" },
        { "llama.attention.head_count", 4, 0, 4, "\"num_attention_heads\" is 0" },
        { "llama.rope.dimension_count", 4, 4, 4, "\"llama.rope.dimension_count\" is 4; allowed is 8" },
        { "general.architectur", 13, 'L', 1, "general.architecture is 'Llama'; read are llama, qwen2" },
        { "llama.context_lengt", 0, 'x', 1, "unknown keys: 'llama.context_lengtx'" },
        { Tensor, 0, 9, 4, "has 9 dimensions" },
        { Tensor, 4, long.MaxValue, 8, "has 9223372036854775807 as a dimension" },
        { Tensor, 20, 12, 4, $"tensor '{Tensor}' is q4_K, which is not read; f32, f16, bf16 and q8_0 are" },
        { Tensor, 20, 99, 4, "is of the unknown type 99" },
        { Tensor, 24, 0, 8, "begins at byte 0 of the tensors, not at" }, // over the embedding
        { Tensor, 24, long.MinValue, 8, "begins at byte -9223372036854775808" },
        { Tensor, -1, 'X', 1, "missing tensors: 'model.layers.1.mlp.up_proj.weight'" },
    };

    [Theory]
    [MemberData(nameof(Damages))]
    public void Damage_is_named(string name, int after, long value, int bytes, string expected)
    {
        Span<byte> number = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(number, value);
        number[..bytes].CopyTo(whole.AsSpan(After(name, after)));
        AssertRefused(whole, expected);
    }

    [Theory]
    [InlineData("split.count", "is a part of a model in several files")]
    [InlineData("llama.expert_count", "\"llama.expert_count\" is 2; allowed is 0")]
    [InlineData("llama.rope.scaling.yarn_ext_factor", "unknown keys: 'llama.rope.scaling.yarn_ext_factor'")]
    public void So_is_a_key_of_other_models(string key, string expected)
    {
        using var metadata = new GgufMetadata();
        metadata.Add("general.architecture", "llama");
        metadata.Add("llama.attention.layer_norm_rms_epsilon", 1e-5f);
        metadata.Add(key, 2);
        GgufWriter.Write(folder["y.gguf"], metadata, [], default);
        AssertRefused(File.ReadAllBytes(folder["y.gguf"]), expected);
    }

    [Theory]
    [InlineData(3, "not a GGUF file")]
    [InlineData(20, "ends within its header")]
    [InlineData(5000, "of which the file has")]
    public void So_is_a_file_that_was_cut_off(int bytes, string expected) => AssertRefused(whole[..bytes], expected);

    public void Dispose()
    {
        Environment.SetEnvironmentVariable("XDG_CACHE_HOME", cache);
        folder.Dispose();
    }

    /// <summary>So many bytes behind a name in the file.</summary>
    private int After(string name, int bytes) => whole.AsSpan().IndexOf(Encoding.UTF8.GetBytes(name)) + name.Length + bytes;

    private static int ContextIn(string made) => HuggingFaceCheckpoint.ReadConfig(made, out _).MaxPositionEmbeddings;

    private void AssertRefused(byte[] file, string expected)
    {
        File.WriteAllBytes(folder["x.gguf"], file);
        var refusal = Assert.Throws<UserException>(() => GgufImport.Folder(folder["x.gguf"])).Message;
        Assert.Contains(expected, refusal, StringComparison.Ordinal);
        Assert.All(refusal.Split('\n'), line => Assert.StartsWith(folder["x.gguf"], line, StringComparison.Ordinal));
        Assert.Empty(Directory.CreateDirectory(folder["cache/cutoff/gguf"]).GetFileSystemInfos());
    }
}
