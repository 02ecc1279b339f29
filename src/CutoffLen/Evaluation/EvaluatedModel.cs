using System.Security.Cryptography;
using System.Text;
using CutoffLen.Checkpoints;
using CutoffLen.Hardware;
using CutoffLen.Models;
using CutoffLen.Positions;
using CutoffLen.Tokenization;

namespace CutoffLen.Evaluation;

/// <summary>A checkpoint, loaded to be measured.</summary>
public sealed class EvaluatedModel : IDisposable
{
    private EvaluatedModel(string folder, string identity, Llama model, CheckpointTokenizer tokenizer)
    {
        Folder = folder;
        Name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)));
        Identity = identity;
        Model = model;
        Tokenizer = tokenizer;
    }

    /// <summary>The checkpoint's folder, as given.</summary>
    public string Folder { get; }

    /// <summary>The folder's own name.</summary>
    public string Name { get; }

    /// <summary>
    /// A hash of config.json and of the weights files' sizes and times: another checkpoint, or the same folder after it
    /// was written again, has another one.
    /// </summary>
    public string Identity { get; }

    /// <summary>The network.</summary>
    public Llama Model { get; }

    /// <summary>Its tokenizer.</summary>
    public CheckpointTokenizer Tokenizer { get; }

    /// <summary>Special tokens of its vocabulary.</summary>
    public SpecialTokens Special => new(
        Tokenizer.BosId, Tokenizer.EosId, Tokenizer.BosId is { } bos && Tokenizer.Encode("a") is [var first, ..] && first == bos);

    /// <summary>Opens a checkpoint and loads it.</summary>
    /// <exception cref="UserException">What is wrong with it.</exception>
    public static EvaluatedModel Open(string folder, Compute compute)
    {
        using var checkpoint = HuggingFaceCheckpoint.Open(folder);
        var tokenizer = CheckpointTokenizer.Open(folder, checkpoint.Config.VocabSize);
        var model = checkpoint.Load(compute.Device, compute.Dtype);
        model.eval();
        return new EvaluatedModel(folder, IdentityOf(folder), model, tokenizer);
    }

    /// <summary>A spec for this model with everything filled in: what <c>auto</c> means, and missing factors from the longest length.</summary>
    public PositionSpec Resolve(PositionSpec spec, int longest) =>
        PositionMethods.Resolve(Model.Config.PositionConfig.Resolve(spec), Model.Config.Positions, longest);

    /// <inheritdoc/>
    public void Dispose() => Model.Dispose();

    private static string IdentityOf(string folder)
    {
        var files = Directory.GetFiles(folder, "*.safetensors").Order(StringComparer.Ordinal).Select(path => new FileInfo(path));
        var facts = string.Join('\n', files.Select(file => $"{file.Name} {file.Length} {file.LastWriteTimeUtc.Ticks}"));
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(File.ReadAllText(Path.Combine(folder, "config.json")) + facts)).AsSpan(0, 8));
    }
}
