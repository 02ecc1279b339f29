using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace CutoffLen.Soak.Files;

/// <summary>
/// A process that reads damaged files, and the one that watches it: a crash or a hang ends only the worker, and the file that
/// did it is known. File n of a run is of kind n mod kinds, with seed + n / kinds.
/// </summary>
/// <param name="kinds">The kinds, in turn.</param>
/// <param name="seed">The first seed.</param>
/// <param name="kept">The folder for files with which something went wrong.</param>
internal sealed class FileWorker(IReadOnlyList<string> kinds, int seed, string kept)
{
    /// <summary>The hidden verb of the worker's process.</summary>
    public const string Verb = "files-worker";

    private static readonly TimeSpan Hung = 6 * FileCampaign.Patience;

    private readonly ConcurrentDictionary<string, int> loaded = new();
    private readonly ConcurrentDictionary<string, int> read = new();
    private readonly ConcurrentQueue<string> faults = new();

    /// <summary>What went wrong so far.</summary>
    public IReadOnlyCollection<string> Faults => faults;

    /// <summary>Files read so far.</summary>
    public int Count => read.Values.Sum();

    /// <summary>Kinds with the files read and those of them that loaded.</summary>
    public IEnumerable<(string Kind, int Read, int Loaded)> Counts => kinds.Select(kind => (kind, read.GetValueOrDefault(kind), loaded.GetValueOrDefault(kind)));

    /// <summary>Reads every <paramref name="step"/>th file from <paramref name="from"/> to below <paramref name="to"/>, in processes of their own.</summary>
    public void Watch(int from, int to, int step)
    {
        for (int? next = from; next < to;)
        {
            next = WatchOne(next.Value, to, step);
        }
    }

    /// <summary>The worker: says which file it begins, and what came of it.</summary>
    /// <param name="arguments">First file, end, step, seed, folder to keep files in, kinds.</param>
    public static int Work(string[] arguments)
    {
        var numbers = arguments.Take(4).Select(text => int.Parse(text, CultureInfo.InvariantCulture)).ToArray();
        var kinds = arguments[5..];
        var campaigns = kinds.Select(kind => new Lazy<FileCampaign>(() => new FileCampaign(kind, arguments[4]))).ToArray();
        for (var n = numbers[0]; n < numbers[1]; n += numbers[2])
        {
            Console.WriteLine($"begin {n}");
            var results = campaigns[n % kinds.Length].Value.Run([SeedOf(n, numbers[3], kinds.Length)]);
            foreach (var fault in results.Faults)
            {
                Console.WriteLine($"fault {JsonSerializer.Serialize(fault)}");
            }

            Console.WriteLine(results.Loaded > 0 ? "loaded" : "refused");
        }

        foreach (var campaign in campaigns.Where(campaign => campaign.IsValueCreated))
        {
            campaign.Value.Dispose();
        }

        return 0;
    }

    private static int SeedOf(int n, int seed, int kinds) => seed + (n / kinds);

    /// <summary>Watches one process to its end; the file to go on with, or null at the end.</summary>
    private int? WatchOne(int from, int to, int step)
    {
        string[] arguments = [Verb, $"{from}", $"{to}", $"{step}", $"{seed}", kept, .. kinds];
        using var process = Process.Start(new ProcessStartInfo(Program.Executable, arguments)
        {
            RedirectStandardOutput = true, RedirectStandardError = true, Environment = { ["DOTNET_ROOT"] = CutoffProcess.DotnetRoot },
        })!;
        var error = process.StandardError.ReadToEndAsync();
        int? begun = null;
        while (NextLine(process) is { } line)
        {
            switch (line.Split(' ', 2))
            {
                case ["begin", var n]:
                    begun = int.Parse(n, CultureInfo.InvariantCulture);
                    break;
                case ["fault", var text]:
                    faults.Enqueue(JsonSerializer.Deserialize<string>(text)!);
                    break;
                default:
                    var kind = kinds[begun!.Value % kinds.Count];
                    read.AddOrUpdate(kind, 1, (_, count) => count + 1);
                    loaded.AddOrUpdate(kind, line == "loaded" ? 1 : 0, (_, count) => count + (line == "loaded" ? 1 : 0));
                    begun = null;
                    break;
            }
        }

        var hung = !process.WaitForExit(TimeSpan.FromSeconds(1));
        process.Kill();
        process.WaitForExit();
        if (!hung && process.ExitCode == 0)
        {
            return null;
        }

        if (begun is null)
        {
            throw new InvalidOperationException($"the worker ended with {process.ExitCode} between two files\n{error.Result}");
        }

        faults.Enqueue(Describe(begun.Value, hung ? $"still reading after {Hung}" : $"the process ended with {process.ExitCode}: {error.Result}"));
        return begun.Value + step;
    }

    private string Describe(int n, string what)
    {
        using var campaign = new FileCampaign(kinds[n % kinds.Count], kept);
        return campaign.Describe(SeedOf(n, seed, kinds.Count), what);
    }

    /// <summary>The next line; null at the end, and where none comes: the first file of a kind also waits for the whole ones to be made.</summary>
    private static string? NextLine(Process process)
    {
        var line = process.StandardOutput.ReadLineAsync();
        return line.Wait(Hung) ? line.Result : null;
    }
}
