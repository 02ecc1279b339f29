using System.Text.Json.Nodes;
using CutoffLen.Checkpoints.Safetensors;
using CutoffLen.Common;
using static TorchSharp.torch;

namespace CutoffLen.Runs;

/// <summary>Values of two runs, compared bit by bit.</summary>
/// <param name="What">Weights, a part of the optimizer's state, or a column of the log.</param>
/// <param name="Values">How many numbers.</param>
/// <param name="Different">How many of them differ in any bit, or are in one run only.</param>
public sealed record ComparedValues(string What, long Values, long Different);

/// <summary>Compares two runs: every bit of weights, optimizer state and log.</summary>
public static class RunComparison
{
    private const long Chunk = 1 << 26; // elements, so that a slice's bytes fit a span

    private static readonly string[] Columns = ["loss", "grad_norm", "learning_rate", "data"];

    /// <summary>Compares the checkpoints of a step, the finished models, and the logged steps.</summary>
    /// <exception cref="UserException">A folder lacks what a run leaves.</exception>
    public static IReadOnlyList<ComparedValues> Of(RunFolder one, RunFolder other, long step) =>
    [
        .. Tensors(one.Checkpoint(step), other.Checkpoint(step), ""),
        .. Tensors(one.Final, other.Final, "finished "),
        .. Log(one, other),
    ];

    private static List<ComparedValues> Tensors(string one, string other, string prefix)
    {
        var found = new SortedDictionary<string, ComparedValues>(StringComparer.Ordinal);
        var names = new[] { one, other }.SelectMany(folder => Directory.GetFiles(folder, "*.safetensors")).Select(path => Path.GetFileName(path)).Distinct();
        foreach (var (file, (what, values, different)) in names.SelectMany(name => Compare(Path.Combine(one, name), Path.Combine(other, name)).Select(c => (name, c))))
        {
            var label = prefix + (file == TrainingState.OptimizerFile ? $"optimizer's {what.Split('.')[0]}" : "weights");
            var sum = found.GetValueOrDefault(label) ?? new ComparedValues(label, 0, 0);
            found[label] = sum with { Values = sum.Values + values, Different = sum.Different + different };
        }

        return [.. found.Values];
    }

    /// <summary>Tensor by tensor.</summary>
    private static IEnumerable<ComparedValues> Compare(string one, string other)
    {
        using var first = File.Exists(one) ? SafetensorsFile.Open(one) : null;
        using var second = File.Exists(other) ? SafetensorsFile.Open(other) : null;
        var entries = second?.Tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal) ?? [];
        foreach (var entry in first?.Tensors ?? [])
        {
            var alike = entries.Remove(entry.Name, out var match) && match.Dtype == entry.Dtype && match.Shape.AsSpan().SequenceEqual(entry.Shape);
            var count = Count(entry);
            yield return new ComparedValues(entry.Name, count, alike ? Different(first!, second!, entry.Name, count) : count);
        }

        foreach (var entry in entries.Values)
        {
            yield return new ComparedValues(entry.Name, Count(entry), Count(entry));
        }
    }

    private static long Count(SafetensorsEntry entry) => entry.Shape.Aggregate(1L, (product, length) => product * length);

    private static long Different(SafetensorsFile one, SafetensorsFile other, string name, long count)
    {
        using var scope = NewDisposeScope();
        var (a, b) = (one.Read(name).flatten(), other.Read(name).flatten());
        var different = 0L;
        for (long at = 0; at < count; at += Chunk)
        {
            using var chunk = NewDisposeScope();
            var length = (int)Math.Min(Chunk, count - at);
            var left = a.narrow(0, at, length).bytes;
            var right = b.narrow(0, at, length).bytes;
            var width = left.Length / length;
            for (var place = left.CommonPrefixLength(right); place < left.Length; place += left[place..].CommonPrefixLength(right[place..]))
            {
                different++;
                place += width - (place % width); // on to the next element
            }
        }

        return different;
    }

    private static IEnumerable<ComparedValues> Log(RunFolder one, RunFolder other)
    {
        var (left, right) = (Steps(one), Steps(other));
        var steps = left.Keys.Union(right.Keys).ToList();
        return Columns.Select(column => new ComparedValues(
            $"{column} of each step", steps.Count, steps.Count(step => !(Text(left, step, column) is { } text && text == Text(right, step, column)))));
    }

    /// <summary>The lines about steps; numbers stand in them with all their digits.</summary>
    private static Dictionary<long, JsonObject> Steps(RunFolder folder) => folder.Lines()
        .Where(line => line.ContainsKey(Columns[0])).ToDictionary(line => line["step"]!.GetValue<long>());

    /// <summary>A value as it is written; null where there is none.</summary>
    private static string? Text(Dictionary<long, JsonObject> lines, long step, string column) =>
        lines.TryGetValue(step, out var line) && line.TryGetPropertyValue(column, out var value) ? value?.ToJsonString() ?? "null" : null;
}
