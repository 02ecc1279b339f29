using System.Globalization;
using CutoffLen.Common;

namespace CutoffLen.Positions.PositionIds;

/// <summary>
/// The names of the training-time positions and how they are written: <c>plain</c>, <c>pose:chunks=3</c>,
/// <c>randomized</c>, <c>shape</c>, <c>random-padding</c>, <c>skip-align:rate=0.3</c>.
/// </summary>
public static class TrainingPositionsSpec
{
    private static readonly Entry[] Entries =
    [
        new("plain", "", _ => new PlainPositions()),
        new("pose", "chunks=2", v => new PosePositions((int)Number(v, "chunks", 2, 1, 1_000, whole: true))),
        new("randomized", "", _ => new RandomizedPositions()),
        new("shape", "", _ => new ShapePositions()),
        new("random-padding", "", _ => new RandomPaddingPositions()),
        new("skip-align", "rate=0.5", v => new SkipAlignPositions(Number(v, "rate", 0.5, 1e-6, 1, whole: false))),
    ];

    /// <summary>All names, in the order in which they are listed.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Entries.Select(entry => entry.Name)];

    /// <summary>The positions that a spec names.</summary>
    /// <exception cref="UserException">An unknown name or key, or a value outside its range.</exception>
    public static TrainingPositions Parse(string spec)
    {
        var name = spec.Split(':')[0];
        var entry = Entries.FirstOrDefault(e => e.Name == name)
            ?? throw new UserException($"positions '{spec}' are not known; allowed are {string.Join(", ", Names)}");
        var values = new Dictionary<string, string>();
        foreach (var item in name.Length == spec.Length ? [] : spec[(name.Length + 1)..].Split(','))
        {
            var pair = item.Split('=', 2);
            if (pair[0] != entry.Key || !values.TryAdd(pair[0], pair[^1]))
            {
                var allowed = entry.Keys.Length > 0 ? $"{entry.Keys}, once" : "none";
                throw new UserException($"positions '{spec}': the key '{pair[0]}' cannot stand here; {name} takes {allowed}");
            }
        }

        return entry.Create(values);
    }

    private static double Number(Dictionary<string, string> given, string key, double otherwise, double least, double most, bool whole)
    {
        if (!given.TryGetValue(key, out var text))
        {
            return otherwise;
        }

        var fits = double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number)
            && number >= least && number <= most && (!whole || number == Math.Floor(number));
        return fits ? number : throw new UserException(
            $"positions: {key}={text} must be a {(whole ? "whole number" : "number")} from {least} to {most}");
    }

    private sealed record Entry(string Name, string Keys, Func<Dictionary<string, string>, TrainingPositions> Create)
    {
        public string Key => Keys.Split('=')[0];
    }
}
