using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace CutoffLen.Models.Attention;

/// <summary>Minus infinity where a query must not see a key, zero elsewhere, over some columns of a block's scores.</summary>
/// <param name="Column">The first of the columns, counted from the block's first key.</param>
/// <param name="Columns">How many columns the mask covers.</param>
/// <param name="Values">[n, columns] float32, shared by all masks of the same form.</param>
internal sealed record EdgeMask(int Column, int Columns, Tensor Values);

/// <summary>Makes the masks of a plan's blocks. Blocks whose edges have the same form share their values.</summary>
internal sealed class EdgeMasks(Device device) : IDisposable
{
    private readonly Dictionary<EdgeForm, Tensor> known = [];

    /// <summary>
    /// The masks for queries that see the keys first[i] .. last[i] of the interval low .. high. One covers the columns where
    /// intervals begin, one those where they end; a single one covers all where these meet.
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
        var visible = new (int Begin, int End)[first.Length];
        for (var i = 0; i < first.Length; i++)
        {
            var (begin, end) = (Math.Clamp(first[i] - from, 0, columns), Math.Clamp(last[i] + 1 - from, 0, columns));
            visible[i] = begin < end ? (begin, end) : (0, 0);
        }

        var form = new EdgeForm(columns, visible);
        if (!known.TryGetValue(form, out var values))
        {
            using var scope = NewDisposeScope();
            values = tensor(form.Fill(), [visible.Length, columns]).to(device).DetachFromDisposeScope();
            known.Add(form, values);
        }

        return new EdgeMask(from - low, columns, values);
    }

    /// <summary>The columns that each query of a block sees.</summary>
    private readonly struct EdgeForm(int columns, (int Begin, int End)[] visible) : IEquatable<EdgeForm>
    {
        private readonly int columns = columns;
        private readonly (int Begin, int End)[] visible = visible;

        public bool Equals(EdgeForm other) => columns == other.columns && visible.AsSpan().SequenceEqual(other.visible);

        public override bool Equals(object? obj) => obj is EdgeForm other && Equals(other);

        public override int GetHashCode()
        {
            var hash = default(HashCode);
            hash.Add(columns);
            hash.AddBytes(MemoryMarshal.AsBytes(visible.AsSpan()));
            return hash.ToHashCode();
        }

        public float[] Fill()
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
}
