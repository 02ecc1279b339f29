using CutoffLen.Checkpoints;
using CutoffLen.Models.Llama;
using static TorchSharp.torch;

namespace CutoffLen.Soak.Files;

/// <summary>What a reader found in a file: a text, and for models the weights in float32.</summary>
/// <param name="Text">Everything but the weights.</param>
/// <param name="Weights">By name; none in files that hold none.</param>
internal sealed record Meaning(string Text, IReadOnlyDictionary<string, float[]> Weights)
{
    /// <summary>A meaning without weights.</summary>
    public static Meaning Of(string text) => new(text, new Dictionary<string, float[]>());

    /// <summary>All that a loaded model is made of.</summary>
    public static Meaning Of(string text, LlamaForCausalLM model) => new(
        text, model.named_parameters().ToDictionary(parameter => parameter.name, parameter => parameter.parameter.to(ScalarType.Float32).data<float>().ToArray()));

    /// <summary>Where another meaning differs, in words; null where it is the same.</summary>
    /// <param name="other">The other.</param>
    /// <param name="tolerance">How far weights may lie apart, relative to 1.</param>
    public string? DifferenceFrom(Meaning other, double tolerance = 0)
    {
        if (Text != other.Text)
        {
            var at = Text.AsSpan().CommonPrefixLength(other.Text);
            return $"'...{Text[Math.Max(0, at - 40)..Math.Min(Text.Length, at + 40)]}', not '...{other.Text[Math.Max(0, at - 40)..Math.Min(other.Text.Length, at + 40)]}'";
        }

        var names = Weights.Keys.Union(other.Weights.Keys);
        return names.Where(name => !Same(Weights.GetValueOrDefault(name), other.Weights.GetValueOrDefault(name), tolerance)).Select(name => $"{name} differs").FirstOrDefault();
    }

    private static bool Same(float[]? one, float[]? other, double tolerance) =>
        one is not null && other is not null && one.Length == other.Length
        && one.Zip(other).All(pair => pair.First.Equals(pair.Second) || Math.Abs(pair.First - pair.Second) <= tolerance * Math.Max(1, Math.Abs(pair.Second)));
}

/// <summary>A kind of file that is read from strangers: how a whole one is made, damaged, read, and read by other means.</summary>
internal abstract class DamagedKind(string name, string file)
{
    /// <summary>What it is called on the command line.</summary>
    public string Name { get; } = name;

    /// <summary>The file that is damaged, in the folder that <see cref="Prepare"/> makes.</summary>
    public string FileName { get; } = file;

    /// <summary>Makes a folder in which all files are whole.</summary>
    public abstract void Prepare(TemporaryFolder folder);

    /// <summary>Damages the file.</summary>
    public abstract DamagedFile Damaged(byte[] original, Damage damage);

    /// <summary>Reads the folder as the product does, and uses what was read.</summary>
    public abstract Meaning Read(TemporaryFolder folder);

    /// <summary>
    /// Reads the damaged file by other means than the product's and says what contradicts the meaning that the product found: a
    /// number changed silently. Null where nothing does.
    /// </summary>
    /// <param name="damaged">The damaged file.</param>
    /// <param name="found">What the product found in it.</param>
    /// <param name="original">What the product found in the whole file.</param>
    public abstract string? Contradiction(byte[] damaged, Meaning found, Meaning original);

    /// <summary>Whether the words of a refusal say which file, folder or key is wrong.</summary>
    public virtual bool IsNamed(string refusal) =>
        refusal.Contains(Path.GetFileName(FileName), StringComparison.Ordinal)
        || (Path.GetDirectoryName(FileName) is { Length: > 0 } folder && refusal.Contains($"/{folder}", StringComparison.Ordinal));

    /// <summary>Saves a tiny checkpoint as the folder's model/.</summary>
    protected static void SaveModel(TemporaryFolder folder, LlamaConfig? config = null, long maxShardBytes = long.MaxValue) =>
        TinyCheckpoint.Save(folder["model"], config, maxShardBytes: maxShardBytes);

    /// <summary>Loads a checkpoint folder.</summary>
    protected static Meaning LoadModel(string folder, Func<HuggingFaceCheckpoint, string>? text = null)
    {
        using var scope = NewDisposeScope();
        using var checkpoint = HuggingFaceCheckpoint.Open(folder);
        return Meaning.Of(text?.Invoke(checkpoint) ?? "", checkpoint.Load(dtype: ScalarType.Float32));
    }
}
