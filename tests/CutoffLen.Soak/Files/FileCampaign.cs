using CutoffLen.Common;
using CutoffLen.Data;

namespace CutoffLen.Soak.Files;

/// <summary>What became of damaged files.</summary>
/// <param name="Loaded">Those that were read, to the values that the file has.</param>
/// <param name="Refused">Those that were refused in words.</param>
/// <param name="Faults">What went wrong, with kind and seed.</param>
public sealed record FileResults(int Loaded, int Refused, IReadOnlyList<string> Faults);

/// <summary>
/// Reads damaged files in this process. Each is loaded to the values that it has or refused in a <see cref="UserException"/> that
/// names it, soon, and without memory for what it only claims to hold.
/// </summary>
public sealed class FileCampaign : IDisposable
{
    /// <summary>The most CPU time that one file may take.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    // All that is ever allocated counts, also error messages and what .NET's array pools round up to. A text is UTF-16 in memory,
    // and is parsed, kept and compared; the search for an added token keeps a hundred bytes a character.
    private const int Slack = 1 << 20;
    private const int BytesPerByte = 128;

    // Tensors are no memory of .NET. The process may grow by so much while one tiny file is read.
    private const long NativeSlack = 256 << 20;

    private readonly TemporaryFolder folder = new();
    private readonly DamagedKind kind;
    private readonly string? kept;
    private readonly byte[] original;
    private readonly Meaning meaning;
    private readonly long undamaged;

    /// <summary>Prepares the whole files of a kind.</summary>
    /// <param name="kind">One of <see cref="Kinds"/>.</param>
    /// <param name="kept">The folder for files with which something went wrong; null to keep none.</param>
    public FileCampaign(string kind, string? kept = null)
    {
        (this.kind, this.kept) = (Create(kind), kept);
        this.kind.Prepare(folder);
        original = File.ReadAllBytes(folder[this.kind.FileName]);
        // Once each, loaded and refused, for what is only allocated the first time; once more for what the whole files take.
        meaning = this.kind.Read(folder);
        File.WriteAllBytes(folder[this.kind.FileName], [0xFF]);
        Refuse();
        File.WriteAllBytes(folder[this.kind.FileName], original);
        var before = GC.GetAllocatedBytesForCurrentThread();
        _ = this.kind.Read(folder);
        undamaged = GC.GetAllocatedBytesForCurrentThread() - before;
    }

    /// <summary>The names of all kinds of files.</summary>
    public static IReadOnlyList<string> Kinds { get; } = [.. All().Select(kind => kind.Name)];

    /// <summary>Damages and reads the files of some seeds.</summary>
    public FileResults Run(IEnumerable<int> seeds)
    {
        var (loaded, refused, faults) = (0, 0, new List<string>());
        foreach (var seed in seeds)
        {
            var (isLoaded, fault) = Try(seed);
            (loaded, refused) = (loaded + (isLoaded ? 1 : 0), refused + (isLoaded ? 0 : 1));
            if (fault is not null)
            {
                faults.Add(Described(seed, fault));
            }
        }

        return new FileResults(loaded, refused, faults);
    }

    /// <summary>Keeps the file of a seed, which another process could not read, and says what happened.</summary>
    public string Describe(int seed, string fault)
    {
        File.WriteAllBytes(folder[kind.FileName], kind.Damaged(original, new Damage(seed)).Bytes);
        return Described(seed, fault);
    }

    /// <inheritdoc/>
    public void Dispose() => folder.Dispose();

    private static DamagedKind[] All() =>
    [
        new ConfigKind(), new GenerationKind(), new SafetensorsKind(), new IndexKind(),
        new SentencePieceKind(), new TokenizerJsonKind("tokenizer_metaspace", "tokenizer.json", "metaspace"),
        new TokenizerJsonKind("tokenizer_bytes", "tokenizer.json", "bytes"), new TokenizerJsonKind("tokenizer_config", "tokenizer_config.json", "sp-kept"),
        new AdapterConfigKind(), new AdapterWeightsKind(),
        new DocumentsKind("jsonl", DataFormat.JsonLines), new DocumentsKind("txt", DataFormat.Text),
        new CompressedKind(DataCompression.Gzip), new CompressedKind(DataCompression.Zstandard), new ParquetKind(), new GgufKind(), new HubListingKind(), new TokensKind(), new YamlKind(), new TrainingStateKind(),
    ];

    private static DamagedKind Create(string name) => All().FirstOrDefault(kind => kind.Name == name)
        ?? throw new UserException($"unknown kind of file '{name}'; known are {string.Join(", ", Kinds)}");

    private void Refuse()
    {
        try
        {
            _ = kind.Read(folder);
            throw new InvalidOperationException($"a {kind.FileName} of one byte was read");
        }
        catch (UserException)
        {
        }
    }

    private (bool IsLoaded, string? Fault) Try(int seed)
    {
        var damaged = kind.Damaged(original, new Damage(seed));
        File.WriteAllBytes(folder[kind.FileName], damaged.Bytes);
        var (resident, before, began) = (Environment.WorkingSet, GC.GetAllocatedBytesForCurrentThread(), Environment.CpuUsage.TotalTime);
        Meaning? found = null;
        string? fault = null;
        try
        {
            found = kind.Read(folder);
        }
        catch (UserException refusal)
        {
            fault = damaged.IsHarmless ? $"refused, though it says the same: {refusal.Message}"
                : kind.IsNamed(refusal.Message) ? null : $"names no file: {refusal.Message}";
        }
        catch (Exception thrown)
        {
            fault = $"{thrown}";
        }

        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        var took = Environment.CpuUsage.TotalTime - began; // not by the clock: the machine may be busy
        fault ??= took > Patience ? $"took {took} of a CPU"
            : allocated > undamaged + (BytesPerByte * damaged.Bytes.Length) + Slack ? $"{allocated} bytes for a file of {damaged.Bytes.Length}, {undamaged} for the whole one"
            : Environment.WorkingSet - resident > NativeSlack ? $"the process grew from {resident} to {Environment.WorkingSet} bytes"
            : found is null ? null
            : damaged.IsHarmless ? Prefixed("says the same, but was read otherwise: ", meaning.DifferenceFrom(found))
            : Contradiction(damaged.Bytes, found);
        return (found is not null, fault);
    }

    private string? Contradiction(byte[] damaged, Meaning found)
    {
        try
        {
            return Prefixed("read to other values than the file's: ", kind.Contradiction(damaged, found, meaning));
        }
        catch (FormatException fault)
        {
            return $"read, though a plain reader can't: {fault.Message}";
        }
    }

    private static string? Prefixed(string prefix, string? text) => text is null ? null : prefix + text;

    /// <summary>A fault with kind and seed; the whole folder is kept.</summary>
    private string Described(int seed, string fault)
    {
        var text = $"{kind.Name}, seed {seed}: {fault}";
        if (kept is null)
        {
            return text;
        }

        var target = Path.Combine(kept, $"{kind.Name}-{seed}");
        foreach (var file in Directory.EnumerateFiles(folder.Root, "*", SearchOption.AllDirectories))
        {
            var copy = Path.Combine(target, Path.GetRelativePath(folder.Root, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy, overwrite: true);
        }

        return $"{text}\n  kept in {target}";
    }
}
