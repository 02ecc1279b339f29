using System.Collections.Concurrent;
using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using CutoffLen.Soak.Files;
using CutoffLen.Soak.Kills;

namespace CutoffLen.Soak;

/// <summary>Kills runs and damages files in great numbers; see <c>scripts/soak --help</c>.</summary>
internal static class Program
{
    // More in one job leave lanes without work at the end, fewer make inputs and undisturbed runs more often.
    private const int KillsOfAJob = 40;

    private static readonly Option<int> Kills = new("--kills") { Description = "How often to kill; default 60, 0 for none.", DefaultValueFactory = _ => 60 };
    private static readonly Option<int> Damaged = new("--files") { Description = "How many damaged files to read; default 3000, 0 for none.", DefaultValueFactory = _ => 3000 };
    private static readonly Option<int> Seed = new("--seed") { Description = "The first seed; default 1.", DefaultValueFactory = _ => 1 };
    private static readonly Option<int> Lanes = new("--lanes") { Description = "How many at once; default one a core.", DefaultValueFactory = _ => Environment.ProcessorCount };
    private static readonly Option<string?> Only = new("--only")
    {
        Description = $"One command to kill ({string.Join(", ", KillCampaign.Commands)}) or one kind of file ({string.Join(", ", FileCampaign.Kinds)}).",
    };

    /// <summary>This program, wherever the tests' output folder or its own has it.</summary>
    public static string Executable { get; } = Path.Combine(AppContext.BaseDirectory, "soak");

    private static int Main(string[] args)
    {
        CultureInfo.CurrentCulture = CultureInfo.DefaultThreadCurrentCulture = CultureInfo.InvariantCulture;
        // Tiny tensors are fastest on one thread, and lanes share the cores.
        Environment.SetEnvironmentVariable("OMP_NUM_THREADS", "1");
        switch (args)
        {
            case [FileWorker.Verb, .. var rest]:
                return FileWorker.Work(rest);
            case [KilledSave.Verb, var target]:
                KilledSave.Loop(target);
                return 0;
        }

        var root = new RootCommand("Kills commands with SIGKILL and goes on with them, and reads damaged files; exit code 1 when something went wrong.") { Kills, Damaged, Seed, Lanes, Only };
        root.SetAction(Run);
        return root.Parse(args).Invoke();
    }

    private static int Run(ParseResult parsed)
    {
        var (seed, lanes, only) = (parsed.GetValue(Seed), parsed.GetValue(Lanes), parsed.GetValue(Only));
        var commands = KillCampaign.Commands.Where(name => only is null || only == name).ToList();
        var kinds = FileCampaign.Kinds.Where(name => only is null || only == name).ToList();
        if (commands.Count + kinds.Count == 0)
        {
            Console.Error.WriteLine($"soak: --only {only}: unknown; {Only.Description}");
            return 1;
        }

        var faults = new List<string>();
        faults.AddRange(parsed.GetValue(Damaged) is > 0 and var files && kinds.Count > 0 ? ReadDamaged(kinds, files, seed, lanes) : []);
        faults.AddRange(parsed.GetValue(Kills) is > 0 and var kills && commands.Count > 0 ? Kill(commands, kills, seed, lanes) : []);
        faults.ForEach(Console.WriteLine);
        Console.WriteLine(faults.Count == 0 ? "nothing went wrong" : $"{faults.Count} faults");
        return faults.Count == 0 ? 0 : 1;
    }

    private static IReadOnlyCollection<string> ReadDamaged(List<string> kinds, int files, int seed, int lanes)
    {
        var kept = Directory.CreateTempSubdirectory("soak-files-").FullName;
        var worker = new FileWorker(kinds, seed, kept);
        var clock = Stopwatch.StartNew();
        InLanes(Enumerable.Range(0, lanes), lanes, lane => worker.Watch(lane, files, lanes), () => $"{worker.Count:N0} of {files:N0} damaged files, {worker.Faults.Count} faults");
        foreach (var (kind, read, loaded) in worker.Counts)
        {
            Console.WriteLine($"{kind,-20} {read,8:N0} read, {loaded,8:N0} loaded, {read - loaded,8:N0} refused");
        }

        Console.WriteLine($"{worker.Count:N0} damaged files in {clock.Elapsed:hh\\:mm\\:ss} ({worker.Count / clock.Elapsed.TotalSeconds:N0} a second), seeds from {seed}");
        if (worker.Faults.Count == 0)
        {
            Directory.Delete(kept, recursive: true);
        }

        return worker.Faults;
    }

    private static List<string> Kill(List<string> commands, int kills, int seed, int lanes)
    {
        // Every command gets its share, in jobs of their own seeds.
        var jobs = commands.SelectMany((name, n) => Enumerable.Repeat(name, Share(kills, commands.Count, n)).Chunk(KillsOfAJob))
            .Select((chunk, n) => (Command: chunk[0], Kills: chunk.Length, Seed: seed + n)).ToList();
        var results = new ConcurrentBag<(string Command, KillResults Results)>();
        var (clock, done) = (Stopwatch.StartNew(), 0);
        InLanes(jobs, lanes, job =>
        {
            using var campaign = new KillCampaign(job.Command, keep: true);
            results.Add((job.Command, campaign.Run(job.Kills, job.Seed, () => Interlocked.Increment(ref done))));
        }, () => $"{done:N0} of {kills:N0} kills, {results.Sum(job => job.Results.Faults.Count)} faults");
        foreach (var command in results.GroupBy(job => job.Command, job => job.Results))
        {
            Console.WriteLine($"{command.Key,-20} {command.Sum(r => r.Kills),6:N0} kills, {command.Sum(r => r.DuringSaves),5:N0} during a save; {command.Sum(r => r.Finished),5:N0} runs went on to their end");
        }

        var killed = results.Sum(job => job.Results.Kills);
        Console.WriteLine($"{killed:N0} kills in {clock.Elapsed:hh\\:mm\\:ss} ({killed / clock.Elapsed.TotalMinutes:N1} a minute), seeds from {seed}");
        return [.. results.SelectMany(job => job.Results.Faults)];
    }

    private static int Share(int all, int parts, int part) => (all / parts) + (part < all % parts ? 1 : 0);

    /// <summary>Does the work in some threads, and says every ten seconds how far it is.</summary>
    private static void InLanes<T>(IEnumerable<T> work, int lanes, Action<T> one, Func<string> progress)
    {
        using var timer = new Timer(_ => Console.Error.WriteLine(progress()), null, TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(10));
        Parallel.ForEach(Partitioner.Create(work, EnumerablePartitionerOptions.NoBuffering), new ParallelOptions { MaxDegreeOfParallelism = lanes }, one);
    }
}
