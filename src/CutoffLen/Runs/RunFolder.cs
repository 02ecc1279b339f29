using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using CutoffLen.Common;
using CutoffLen.Files;

namespace CutoffLen.Runs;

/// <summary>
/// The folder of a run: config.yaml, ledger.json, log.jsonl, tensorboard/, checkpoint-N/ and final/.
/// </summary>
/// <param name="path">Where it is or will be.</param>
public sealed class RunFolder(string path)
{
    private const string CheckpointPrefix = "checkpoint-";

    /// <summary>The file with every key of the configuration.</summary>
    public const string ConfigFile = "config.yaml";

    /// <summary>The file with a line for each logged step and each measurement.</summary>
    public const string LogFile = "log.jsonl";

    /// <summary>The file that says what became of the data.</summary>
    public const string LedgerFile = "ledger.json";

    /// <summary>The file with the finished scores of a measurement, kept so that a second run goes on with them.</summary>
    public const string ResultsFile = "results.jsonl";

    private static readonly JsonSerializerOptions OneLine = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    /// <summary>Where it is.</summary>
    public string Path { get; } = path;

    /// <summary>Where the finished model goes.</summary>
    public string Final => System.IO.Path.Combine(Path, "final");

    /// <summary>Where TensorBoard's events go.</summary>
    public string TensorBoard => System.IO.Path.Combine(Path, "tensorboard");

    /// <summary>The checkpoint of a step.</summary>
    public string Checkpoint(long step) => System.IO.Path.Combine(Path, $"{CheckpointPrefix}{step.ToString(CultureInfo.InvariantCulture)}");

    /// <summary>The whole checkpoints in the folder, oldest first.</summary>
    public IReadOnlyList<(long Step, string Folder)> Checkpoints() => !Directory.Exists(Path) ? [] :
    [
        .. Directory.EnumerateDirectories(Path, CheckpointPrefix + "*")
            .Select(folder => (Step: StepOf(folder), Folder: folder))
            .Where(found => found.Step is not null && TrainingState.ExistsIn(found.Folder))
            .Select(found => (found.Step!.Value, found.Folder))
            .OrderBy(found => found.Value),
    ];

    /// <summary>Whether the finished model is there and is that of a step: it is written after the step's checkpoint.</summary>
    public bool HasFinalOf(long step) =>
        Directory.Exists(Final) && Directory.GetLastWriteTimeUtc(Final) >= Directory.GetLastWriteTimeUtc(Checkpoint(step));

    /// <summary>Makes the folder, for a new run.</summary>
    /// <param name="mayRestart">Whether a run that was stopped before its first checkpoint may begin again here.</param>
    /// <exception cref="UserException">It is there and holds anything else.</exception>
    public void Begin(bool mayRestart = false)
    {
        // A kill while the first file is written leaves only its temporary name.
        var isEmpty = !Directory.Exists(Path) || Directory.EnumerateFileSystemEntries(Path).All(entry => entry == AtomicFile.TemporaryName(In(ConfigFile)));
        var isRun = Checkpoints().Count > 0 || File.Exists(In(ConfigFile));
        if (!isEmpty && !(mayRestart && isRun && Checkpoints().Count == 0))
        {
            throw new UserException(isRun
                ? $"--out {Path}: holds a run already; go on with it by --resume auto, or choose another folder"
                : $"--out {Path}: is not empty and holds no run of ours; choose another folder");
        }

        Create();
        ForgetAfter(0);
    }

    /// <summary>Makes the folder if it is not there.</summary>
    public void Create() => OutputFolder.Create(Path);

    /// <summary>Keeps the newest <paramref name="keep"/> checkpoints and deletes the rest.</summary>
    public void Keep(int keep)
    {
        foreach (var (_, folder) in Checkpoints().SkipLast(keep))
        {
            // Renamed first, so that a kill leaves no checkpoint that looks whole.
            Directory.Move(folder, In($".{System.IO.Path.GetFileName(folder)}.deleting"));
        }

        // Also what a kill left of an earlier deletion.
        foreach (var gone in Directory.EnumerateDirectories(Path, $".{CheckpointPrefix}*.deleting"))
        {
            Directory.Delete(gone, recursive: true);
        }
    }

    /// <summary>Writes a file of the run, such as ledger.json, at once.</summary>
    public void Write(string name, string text) => AtomicFile.WriteText(In(name), text);

    /// <summary>Adds a line to log.jsonl.</summary>
    public void Log<T>(T entry) => File.AppendAllText(In(LogFile), JsonSerializer.Serialize(entry, OneLine) + "\n");

    /// <summary>The whole lines of log.jsonl. A kill can leave half a line at the end, which is left out.</summary>
    public IEnumerable<JsonObject> Lines() =>
        !File.Exists(In(LogFile)) ? [] : File.ReadLines(In(LogFile)).Select(Parse).OfType<JsonObject>();

    /// <summary>The lines of log.jsonl with this key.</summary>
    public IReadOnlyList<T> Lines<T>(string key) => [.. Lines().Where(line => line.ContainsKey(key)).Select(line => line.Deserialize<T>(OneLine)!)];

    /// <summary>The steps that have a line with this key in log.jsonl.</summary>
    public IReadOnlySet<long> Logged(string key) => Lines().Where(line => line.ContainsKey(key)).Select(StepOf).ToHashSet();

    /// <summary>
    /// The seconds that the logged steps took, over all times the run was started, and the last loss; null before the first
    /// line, and where no step had a loss.
    /// </summary>
    public (double Seconds, double? Loss)? Logged()
    {
        var lines = Lines<LogLine>("loss");
        if (lines.Count == 0)
        {
            return null;
        }

        // Each start counts from zero: its last line has its time.
        var seconds = lines.Where((line, n) => n == lines.Count - 1 || lines[n + 1].Seconds < line.Seconds).Sum(line => line.Seconds);
        return (seconds, lines.LastOrDefault(line => line.Loss is not null)?.Loss);
    }

    /// <summary>Removes the lines of log.jsonl after the step that the run is resumed from.</summary>
    public void ForgetAfter(long step)
    {
        if (File.Exists(In(LogFile)))
        {
            var kept = File.ReadLines(In(LogFile)).Where(line => Parse(line) is { } entry && StepOf(entry) <= step).ToList();
            Write(LogFile, string.Concat(kept.Select(line => line + "\n")));
        }
    }

    private string In(string name) => System.IO.Path.Combine(Path, name);

    private static JsonObject? Parse(string line)
    {
        try
        {
            return JsonNode.Parse(line) as JsonObject;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static long StepOf(JsonObject line) => line["step"] is JsonValue value && value.TryGetValue(out long step) ? step : 0;

    private static long? StepOf(string folder) => long.TryParse(
        System.IO.Path.GetFileName(folder)[CheckpointPrefix.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out var step) ? step : null;
}
