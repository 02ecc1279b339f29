using System.Globalization;
using CutoffLen.Common;

namespace CutoffLen.Positions.Spec;

/// <summary>
/// Decoder layers, counted from 0, as Python's slices select them: <c>5</c>, <c>0:2</c>, <c>3::4</c>, or several with commas.
/// </summary>
public sealed record LayerSelection
{
    private const int MostLayers = 1 << 16;
    private const string Allowed = "numbers and slices start:stop:step of layers counted from 0, such as 5, 0:2 or 3::4, with ',' between them";

    private readonly IReadOnlyList<Slice> slices;

    private LayerSelection(IReadOnlyList<Slice> slices) => this.slices = slices;

    /// <summary>The layers that a text means.</summary>
    /// <exception cref="UserException">It is no selection.</exception>
    public static LayerSelection Parse(string text) => new([.. text.Split(',').Select(part =>
        Slice.Parse(part.Trim()) ?? throw new UserException($"layers '{text}' must be {Allowed}"))]);

    /// <summary>The selection of these layers, of a model's: a slice where they are evenly spaced to its end, else their numbers.</summary>
    /// <param name="layers">Ascending, at least one.</param>
    /// <param name="count">Layers of the model.</param>
    public static LayerSelection Of(IReadOnlyList<int> layers, int count)
    {
        var step = layers.Count > 1 ? layers[1] - layers[0] : count;
        var slice = new Slice(layers[0], null, step);
        return layers.Count > 1 && Enumerable.Range(0, count).Where(slice.Contains).SequenceEqual(layers)
            ? new([slice])
            : new([.. layers.Select(Slice.Of)]);
    }

    /// <summary>Whether a layer is selected.</summary>
    public bool Contains(int layer) => slices.Any(slice => slice.Contains(layer));

    /// <summary>The canonical text, which parses to an equal selection.</summary>
    public override string ToString() => string.Join(',', slices);

    /// <inheritdoc/>
    public bool Equals(LayerSelection? other) => other is not null && ToString() == other.ToString();

    /// <inheritdoc/>
    public override int GetHashCode() => StringComparer.Ordinal.GetHashCode(ToString());

    private readonly record struct Slice(int Start, int? Stop, int Step)
    {
        public static Slice Of(int layer) => new(layer, layer + 1, 1);

        public static Slice? Parse(string text)
        {
            var parts = text.Split(':');
            int?[] numbers = [.. parts.Select(part => int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= MostLayers ? number : (int?)null)];
            if (parts.Length > 3 || parts.Zip(numbers).Any(pair => pair.First.Length > 0 && pair.Second is null) || numbers.ElementAtOrDefault(2) == 0)
            {
                return null;
            }

            return parts.Length > 1 ? new Slice(numbers[0] ?? 0, numbers[1], numbers.ElementAtOrDefault(2) ?? 1)
                : numbers[0] is { } layer ? Of(layer)
                : null;
        }

        public bool Contains(int layer) => layer >= Start && !(layer >= Stop) && (layer - Start) % Step == 0;

        public override string ToString() =>
            Stop == Start + 1 && Step == 1 ? $"{Start}" : $"{Start}:{Stop}{(Step == 1 ? "" : $":{Step}")}";
    }
}
