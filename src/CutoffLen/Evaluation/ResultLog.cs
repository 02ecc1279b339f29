using System.Text.Json;
using System.Text.Json.Serialization;
using CutoffLen.Common;
using CutoffLen.Distributed;
using CutoffLen.Evaluation.Statistics;
using CutoffLen.Positions.Spec;
using static TorchSharp.torch;

namespace CutoffLen.Evaluation;

/// <summary>The score of one window: the summed NLL of its targets.</summary>
/// <param name="Document">Identity of the document.</param>
/// <param name="Protocol">Name of the protocol.</param>
/// <param name="Length">Context length in tokens.</param>
/// <param name="FirstTarget">Index of the first scored token.</param>
/// <param name="Sum">Sum of the NLL, nats.</param>
/// <param name="Count">Targets scored.</param>
[method: JsonConstructor]
public readonly record struct WindowScore(
    [property: JsonPropertyName("text")] string Document, string Protocol, int Length, int FirstTarget, double Sum, int Count);

/// <summary>The NLL by position of one window.</summary>
/// <param name="Document">Identity of the document.</param>
/// <param name="Protocol">Name of the protocol whose window it is.</param>
/// <param name="Length">Window length in tokens, which decides the buckets.</param>
/// <param name="Start">Index of the window's first token.</param>
/// <param name="Sums">For each of the <see cref="PositionBuckets"/> the sum of the NLL, nats.</param>
public sealed record CurveScore(
    [property: JsonPropertyName("text")] string Document, string Protocol, int Length, int Start, double[] Sums);

/// <summary>What a score depends on besides its document and window. Scores of another key are not reused.</summary>
/// <param name="Model">Identity of the weights.</param>
/// <param name="Positions">The resolved position spec.</param>
/// <param name="Dtype">Dtype of the model.</param>
/// <param name="Device">The kind of device: ranks have one each.</param>
/// <param name="BatchTokens">The most tokens of a batch: rounding may differ between batch sizes.</param>
[JsonConverter(typeof(AsText))]
public readonly record struct RunKey(string Model, string Positions, string Dtype, string Device, int BatchTokens)
{
    /// <summary>The key of a model under a position method.</summary>
    public static RunKey Of(string model, PositionSpec positions, ScalarType dtype, Device device, int batchTokens) =>
        new(model, $"{positions}", $"{dtype}", device.type.ToString().ToLowerInvariant(), batchTokens);

    // A line of the log has the key as one string.
    private sealed class AsText : JsonConverter<RunKey>
    {
        public override RunKey Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.GetString()?.Split(' ') is [var model, var positions, var dtype, var device, var tokens] && int.TryParse(tokens, out var batchTokens)
                ? new RunKey(model, positions, dtype, device, batchTokens)
                : throw new JsonException("the run is not one of this program");

        public override void Write(Utf8JsonWriter writer, RunKey value, JsonSerializerOptions options) =>
            writer.WriteStringValue(string.Join(' ', value.Model, value.Positions, value.Dtype, value.Device, value.BatchTokens));
    }
}

/// <summary>A model's answer to a prompt.</summary>
/// <param name="Prompt">Identity of the prompt's tokens.</param>
/// <param name="Task">Name of the task, with its settings that change the answer and not the prompt.</param>
/// <param name="Length">Length of the task in tokens.</param>
/// <param name="Sample">Number of the sample.</param>
/// <param name="Expected">What the answer should contain.</param>
/// <param name="Text">The answer.</param>
public sealed record LoggedAnswer(string Prompt, string Task, int Length, int Sample, IReadOnlyList<string> Expected, string Text)
{
    /// <summary>What was measured beside the text, in the order of the measure that asked; null where nothing was.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? Numbers { get; init; }

    /// <summary>The numbers of a measure that logs so many.</summary>
    /// <exception cref="UserException">There are not so many.</exception>
    public IReadOnlyList<int> NumbersOf(int count) => Numbers?.Count == count
        ? Numbers
        : throw new UserException($"results: the answer to '{Task}' has not {count} numbers beside its text; move the file of results away to begin anew");
}

/// <summary>The proof that a run's position method was applied. A finished run then need not load its model again.</summary>
/// <param name="Hash">Hash of the method's tables and bands.</param>
/// <param name="VanillaHash">The same for vanilla RoPE.</param>
/// <param name="LargestLogitDifference">From vanilla RoPE, on a probe.</param>
public sealed record LoggedProof(string Hash, string VanillaHash, double LargestLogitDifference);

/// <summary>
/// The result log: a line of JSON for each scored batch or answer, appended as it finishes. A killed run leaves it to the next one.
/// A file holds any number of runs (<see cref="RunKey"/>). A last line that a kill cut short is dropped.
/// </summary>
public sealed class ResultLog : IDisposable
{
    // A score whose key was damaged must not be read as 0.
    private static readonly JsonSerializerOptions Json = new(JsonSerializerOptions.Strict) { PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    private readonly FileStream? file;
    private readonly string path;
    private readonly Dictionary<(RunKey Run, string Document, string Protocol, int Length, int FirstTarget), WindowScore> windows = [];
    private readonly Dictionary<(RunKey Run, string Document, string Protocol, int Length, int Start), CurveScore> curves = [];
    private readonly Dictionary<(RunKey Run, string Prompt, string Task), LoggedAnswer> answers = [];
    private readonly Dictionary<RunKey, LoggedProof> proofs = [];

    /// <summary>A log in memory only.</summary>
    public ResultLog() => path = "";

    /// <summary>Opens or creates the file and reads the finished scores.</summary>
    /// <param name="path">The file.</param>
    /// <param name="ranks">The ranks that append the same; rank 0 alone opens the file. null for one.</param>
    /// <exception cref="UserException">The file holds something else, or another process writes it.</exception>
    public ResultLog(string path, ICollectives? ranks = null)
    {
        this.path = path;
        FileStream? opened = null;
        try
        {
            var lines = (ranks ?? SingleRank.Instance).FromFirst(() => WholeLines(opened = Open(path)));
            Keep(lines);
            if (opened is not null && opened.Length > lines.Length)
            {
                opened.SetLength(lines.Length);
            }

            opened?.Seek(0, SeekOrigin.End);
        }
        catch
        {
            opened?.Dispose();
            throw;
        }

        file = opened;
    }

    /// <summary>The score of a window, or null while it is not finished.</summary>
    public WindowScore? Window(RunKey run, string document, string protocol, int length, int firstTarget) =>
        windows.TryGetValue((run, document, protocol, length, firstTarget), out var score) ? score : null;

    /// <summary>The NLL by position of a window, or null while it is not finished.</summary>
    public CurveScore? Curve(RunKey run, string document, string protocol, int length, int start) =>
        curves.GetValueOrDefault((run, document, protocol, length, start));

    /// <summary>The answer to a prompt, or null while it is not finished.</summary>
    public LoggedAnswer? Answer(RunKey run, string prompt, string task) => answers.GetValueOrDefault((run, prompt, task));

    /// <summary>The proof that a run's position method was applied, or null.</summary>
    public LoggedProof? Proof(RunKey run) => proofs.GetValueOrDefault(run);

    /// <summary>Adds the proof of a run that has none.</summary>
    public void Append(RunKey run, LoggedProof proof)
    {
        if (Proof(run) is null)
        {
            Write(new Line(run, [], []) { Proof = proof });
        }
    }

    /// <summary>Adds an answer that is not there yet.</summary>
    public void Append(RunKey run, LoggedAnswer answer)
    {
        if (Answer(run, answer.Prompt, answer.Task) is null)
        {
            Write(new Line(run, [], []) { Answer = answer });
        }
    }

    /// <summary>
    /// Adds the scores of a batch. The operating system has them when this returns, so a killed process loses nothing.
    /// Scores that are there already stay as they are.
    /// </summary>
    public void Append(RunKey run, IReadOnlyList<WindowScore> scores, IReadOnlyList<CurveScore> positions) => Write(new Line(run, scores, positions));

    /// <inheritdoc/>
    public void Dispose() => file?.Dispose();

    private void Write(Line line)
    {
        Keep(line);
        file?.Write([.. JsonSerializer.SerializeToUtf8Bytes(line, Json), (byte)'\n']);
        file?.Flush();
    }

    private static FileStream Open(string path)
    {
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException problem)
        {
            throw new UserException($"cannot write {path}: {problem.Message}", problem);
        }
    }

    /// <summary>A line without its line break was being written when the program died.</summary>
    private static byte[] WholeLines(FileStream file)
    {
        var bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        return bytes[..(bytes.AsSpan().LastIndexOf((byte)'\n') + 1)];
    }

    private void Keep(ReadOnlySpan<byte> lines)
    {
        var number = 0;
        foreach (var row in lines.Split((byte)'\n'))
        {
            number++;
            if (row.End.Value > row.Start.Value)
            {
                Keep(Parse(lines[row], number));
            }
        }
    }

    private Line Parse(ReadOnlySpan<byte> row, int number)
    {
        try
        {
            return JsonSerializer.Deserialize<Line>(row, Json) is { } line && line.Curves.All(curve => curve is not null)
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
            windows.TryAdd((line.Run, score.Document, score.Protocol, score.Length, score.FirstTarget), score);
        }

        foreach (var score in line.Curves)
        {
            curves.TryAdd((line.Run, score.Document, score.Protocol, score.Length, score.Start), score);
        }

        if (line.Proof is not null)
        {
            proofs.TryAdd(line.Run, line.Proof);
        }

        if (line.Answer is { } answer)
        {
            answers.TryAdd((line.Run, answer.Prompt, answer.Task), answer);
        }
    }

    private sealed record Line(RunKey Run, IReadOnlyList<WindowScore> Windows, IReadOnlyList<CurveScore> Curves)
    {
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public LoggedProof? Proof { get; init; }

        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public LoggedAnswer? Answer { get; init; }
    }
}
