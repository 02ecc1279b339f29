namespace CutoffLen.Soak.Kills;

/// <summary>A command that is killed and started again until it ends, and what must then be there.</summary>
internal abstract class KilledCommand(string name, TemporaryFolder folder)
{
    /// <summary>What it is called on the command line.</summary>
    public string Name { get; } = name;

    /// <summary>How long a run takes that nobody kills.</summary>
    public TimeSpan Duration { get; protected set; }

    /// <summary>The program; null for <c>cutoff</c>.</summary>
    public virtual string? Executable => null;

    /// <summary>The run that nobody kills.</summary>
    protected const string Straight = "straight";

    /// <summary>Where everything is.</summary>
    protected TemporaryFolder Folder { get; } = folder;

    /// <summary>Makes the inputs, and the run that nobody kills.</summary>
    public virtual void Prepare()
    {
        TinyCheckpoint.SaveWithTexts(Folder, texts: 4);
        PrepareInputs();
        var clock = System.Diagnostics.Stopwatch.StartNew();
        Ended(CutoffProcess.Run(Arguments(Straight)).Exits(0), Straight);
        Duration = clock.Elapsed;
    }

    /// <summary>The command line that begins a run, and goes on with it.</summary>
    public abstract string[] Arguments(string run);

    /// <summary>What is wrong with what a kill left: something is half written, or lost that had been saved.</summary>
    public abstract IEnumerable<string> AfterKill(string run, CutoffResult killed);

    /// <summary>What a run that was killed and went on to its end has otherwise than the one that nobody killed.</summary>
    public abstract IEnumerable<string> Differences(string run);

    /// <summary>Keeps of a run that ended what its folder does not have.</summary>
    public virtual void Ended(CutoffResult result, string run)
    {
    }

    /// <summary>What saves that have not ended write, now or when they were killed.</summary>
    public IReadOnlySet<string> Saves(string run) => Hidden(run).Where(path => path.Contains(".saving", StringComparison.Ordinal)).ToHashSet();

    /// <summary>Removes a run.</summary>
    public void Remove(string run)
    {
        foreach (var path in Hidden(run).Append(Folder[run]).Append(CacheOf(run)).Where(Directory.Exists))
        {
            Directory.Delete(path, recursive: true);
        }
    }

    /// <summary>A run's own token cache, so that kills come while it is made too.</summary>
    protected string CacheOf(string run) => Folder[$"{run}-cache"];

    /// <summary>Makes more than the model and the texts.</summary>
    protected virtual void PrepareInputs()
    {
    }

    /// <summary>Files of two folders that differ, or are in one only.</summary>
    protected static IEnumerable<string> DifferentFiles(string one, string other, Func<string, bool> counts)
    {
        var names = new[] { one, other }.SelectMany(Directory.GetFiles).Select(path => Path.GetFileName(path)).Where(counts).Distinct();
        return names.Where(name => !SameBytes(Path.Combine(one, name), Path.Combine(other, name))).Select(name => $"{Path.Combine(other, name)} differs from {one}'s");
    }

    /// <summary>Whether both files are there and equal.</summary>
    protected static bool SameBytes(string one, string other) =>
        File.Exists(one) && File.Exists(other) && File.ReadAllBytes(one).AsSpan().SequenceEqual(File.ReadAllBytes(other));

    /// <summary>What is left of unfinished writes, beside the run and in it.</summary>
    protected IEnumerable<string> Hidden(string run) =>
    [
        .. Directory.EnumerateFileSystemEntries(Folder.Root, $".{run}.*"),
        .. Directory.Exists(Folder[run]) ? Directory.EnumerateFileSystemEntries(Folder[run], ".*", SearchOption.AllDirectories) : [],
    ];

    /// <summary>Unfinished writes that a finished run must have cleared away; a lock file may stay.</summary>
    protected IEnumerable<string> Leftovers(string run) =>
        Hidden(run).Where(path => !path.EndsWith(".lock", StringComparison.Ordinal)).Select(path => $"{path} was left behind");
}
