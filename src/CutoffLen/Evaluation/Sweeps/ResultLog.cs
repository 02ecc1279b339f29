using System.Text.Json;
using System.Text.Json.Serialization;
using CutoffLen.Common;
using CutoffLen.Evaluation.Scoring;

namespace CutoffLen.Evaluation.Sweeps;

/// <summary>The sum of one window's scored targets.</summary>
/// <param name="Text">Identity of the text.</param>
/// <param name="Protocol">Name of the protocol.</param>
/// <param name="Length">Context length in tokens.</param>
/// <param name="FirstTarget">Index of the first scored token.</param>
/// <param name="Sum">Sum of the NLL, nats.</param>
/// <param name="Count">Targets scored.</param>
public sealed record WindowScore(string Text, string Protocol, int Length, int FirstTarget, double Sum, int Count);

/// <summary>The NLL by position of one window.</summary>
/// <param name="Text">Identity of the text.</param>
/// <param name="Protocol">Name of the protocol whose window it is.</param>
/// <param name="Length">Window length in tokens, which decides the buckets.</param>
/// <param name="Start">Index of the window's first token.</param>
/// <param name="Sums">For each of the <see cref="PositionBuckets"/> the sum of the NLL, nats.</param>
public sealed record CurveScore(string Text, string Protocol, int Length, int Start, double[] Sums);

/// <summary>That a run's position method was applied, kept so that a finished run need not load its model again.</summary>
/// <param name="Hash">Of what attention sees of positions.</param>
/// <param name="VanillaHash">The same for vanilla RoPE.</param>
/// <param name="LargestLogitDifference">From vanilla RoPE, on a probe.</param>
public sealed record LoggedProof(string Hash, string VanillaHash, double LargestLogitDifference);

/// <summary>
/// Finished forwards, a line of JSON for each batch, appended as they come: what a killed run leaves for the next. A run
/// is a model, a position method and all settings that can change a bit of a score; a file holds any number of runs. A
/// last line that a kill tore is dropped.
/// </summary>
public sealed class ResultLog : IDisposable
{
    private readonly FileStream? file;
    private readonly string path;
    private readonly Dictionary<(string Run, string Text, string Protocol, int Length, int FirstTarget), WindowScore> windows = [];
    private readonly Dictionary<(string Run, string Text, string Protocol, int Length, int Start), CurveScore> curves = [];
    private readonly Dictionary<string, LoggedProof> proofs = [];

    /// <summary>A log in memory only.</summary>
    public ResultLog() => path = "";

    /// <summary>Opens the file, or creates it, and reads what is finished.</summary>
    /// <exception cref="UserException">The file holds something else, or another process writes it.</exception>
    public ResultLog(string path)
    {
        this.path = path;
        try
        {
            file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException problem)
        {
            throw new UserException($"cannot write {path}: {problem.Message}", problem);
        }

        try
        {
            Read(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The score of a window, or null while it is not finished.</summary>
    public WindowScore? Window(string run, string text, string protocol, int length, int firstTarget) =>
        windows.GetValueOrDefault((run, text, protocol, length, firstTarget));

    /// <summary>The NLL by position of a window, or null while it is not finished.</summary>
    public CurveScore? Curve(string run, string text, string protocol, int length, int start) =>
        curves.GetValueOrDefault((run, text, protocol, length, start));

    /// <summary>The proof that a run's position method was applied, or null.</summary>
    public LoggedProof? Proof(string run) => proofs.GetValueOrDefault(run);

    /// <summary>Adds the proof of a run that has none.</summary>
    public void Append(string run, LoggedProof proof)
    {
        if (!proofs.ContainsKey(run))
        {
            Write(new Line(run, [], []) { Proof = proof });
        }
    }

    /// <summary>
    /// Adds what a batch gave; the system has it when this returns, so a killed process loses nothing. What is there
    /// already stays as it is.
    /// </summary>
    public void Append(string run, IReadOnlyList<WindowScore> scores, IReadOnlyList<CurveScore> positions) => Write(new Line(run, scores, positions));

    /// <inheritdoc/>
    public void Dispose() => file?.Dispose();

    private void Write(Line line)
    {
        Keep(line);
        file?.Write([.. JsonSerializer.SerializeToUtf8Bytes(line, JsonSerializerOptions.Web), (byte)'\n']);
        file?.Flush();
    }

    private void Read(FileStream file)
    {
        var bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        // What follows the last line break is a line that was being written when the program died.
        var whole = bytes.AsSpan().LastIndexOf((byte)'\n') + 1;
        var number = 0;
        foreach (var row in bytes.AsSpan(0, whole).Split((byte)'\n'))
        {
            number++;
            if (row.End.Value > row.Start.Value)
            {
                Keep(Parse(bytes.AsSpan(row), number));
            }
        }

        if (whole < bytes.Length)
        {
            file.SetLength(whole);
        }

        file.Seek(0, SeekOrigin.End);
    }

    private Line Parse(ReadOnlySpan<byte> row, int number)
    {
        try
        {
            return JsonSerializer.Deserialize<Line>(row, JsonSerializerOptions.Web) is { Run: not null, Windows: not null, Curves: not null } line
                ? line
                : throw new JsonException("a part is missing");
        }
        catch (JsonException problem)
        {
            throw new UserException($"{path} line {number} is not a line of this program's results ({problem.Message}); move the file away to begin anew", problem);
        }
    }

    private void Keep(Line line)
    {
        foreach (var score in line.Windows)
        {
            windows.TryAdd((line.Run, score.Text, score.Protocol, score.Length, score.FirstTarget), score);
        }

        foreach (var score in line.Curves)
        {
            curves.TryAdd((line.Run, score.Text, score.Protocol, score.Length, score.Start), score);
        }

        if (line.Proof is not null)
        {
            proofs.TryAdd(line.Run, line.Proof);
        }
    }

    private sealed record Line(string Run, IReadOnlyList<WindowScore> Windows, IReadOnlyList<CurveScore> Curves)
    {
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public LoggedProof? Proof { get; init; }
    }
}
