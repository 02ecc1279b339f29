using static TorchSharp.torch;

namespace CutoffLen.Models.Attention;

/// <summary>
/// Minus infinity where a query must not see a key, zero elsewhere, for some columns of a block's scores.
/// </summary>
/// <param name="Column">The first of the columns, counted from the block's first key.</param>
/// <param name="Columns">How many columns the mask covers.</param>
/// <param name="Values">[n, columns], shared by all masks of the same form.</param>
internal sealed record EdgeMask(int Column, int Columns, MaskValues Values);

/// <summary>The values of a mask, brought to the device when first asked for.</summary>
internal sealed class MaskValues(float[] values, int columns) : IDisposable
{
    private Tensor? onDevice; // [n, columns] float32

    public Tensor On(Device device) =>
        onDevice ??= tensor(values, [values.Length / columns, columns]).to(device).DetachFromDisposeScope();

    public void Dispose()
    {
        onDevice?.Dispose();
        onDevice = null;
    }
}

/// <summary>Makes the masks of a plan's blocks; blocks whose edges have the same form share their values.</summary>
internal sealed class EdgeMasks : IDisposable
{
    private readonly Dictionary<string, MaskValues> known = [];

    /// <summary>
    /// The masks for queries that see the keys first[i] .. last[i] of the interval low .. high: one over the
    /// columns where intervals begin, one over those where they end, a single one where these meet.
    /// </summary>
    public List<EdgeMask> For(ReadOnlySpan<int> first, ReadOnlySpan<int> last, int low, int high)
    {
        var (left, right) = (low, high + 1); // keys below left, and from right on, are hidden from some query
        for (var i = 0; i < first.Length; i++)
        {
            var empty = first[i] > last[i];
            left = Math.Max(left, empty ? high + 1 : first[i]);
            right = Math.Min(right, empty ? low : last[i] + 1);
        }

        var masks = new List<EdgeMask>(2);
        if (left >= right)
        {
            masks.Add(Over(first, last, low, low, high + 1));
            return masks;
        }

        if (left > low)
        {
            masks.Add(Over(first, last, low, low, left));
        }

        if (right <= high)
        {
            masks.Add(Over(first, last, low, right, high + 1));
        }

        return masks;
    }

    public void Dispose()
    {
        foreach (var values in known.Values)
        {
            values.Dispose();
        }

        known.Clear();
    }

    private EdgeMask Over(ReadOnlySpan<int> first, ReadOnlySpan<int> last, int low, int from, int to)
    {
        var columns = to - from;
        var visible = new (int Begin, int End)[first.Length]; // columns that each query sees
        for (var i = 0; i < first.Length; i++)
        {
            var (begin, end) = (Math.Clamp(first[i] - from, 0, columns), Math.Clamp(last[i] + 1 - from, 0, columns));
            visible[i] = begin < end ? (begin, end) : (0, 0);
        }

        var form = $"{columns}:{string.Join(',', visible)}";
        if (!known.TryGetValue(form, out var values))
        {
            values = new MaskValues(Fill(visible, columns), columns);
            known.Add(form, values);
        }

        return new EdgeMask(from - low, columns, values);
    }

    private static float[] Fill((int Begin, int End)[] visible, int columns)
    {
        var values = new float[visible.Length * columns];
        for (var i = 0; i < visible.Length; i++)
        {
            var row = values.AsSpan(i * columns, columns);
            row[..visible[i].Begin].Fill(float.NegativeInfinity);
            row[visible[i].End..].Fill(float.NegativeInfinity);
        }

        return values;
    }
}
