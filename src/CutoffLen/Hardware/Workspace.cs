using static TorchSharp.torch;

namespace CutoffLen.Hardware;

/// <summary>
/// Memory that is made once and used again by every layer and every step, by name. Fresh memory costs a CPU page faults and
/// leaves holes in the C heap. A buffer has the size of the largest shape that was asked for.
/// </summary>
public sealed class Workspace : IDisposable
{
    private const int KeptViews = 4; // of a buffer: queries and keys, say, and the last row of a batch

    private readonly Dictionary<(string Name, ScalarType Dtype, TorchSharp.DeviceType Device), (Tensor Buffer, List<(long[] Shape, Tensor View)> Views)> buffers = [];

    /// <summary>Bytes of all buffers.</summary>
    public long Bytes => buffers.Values.Sum(entry => entry.Buffer.numel() * entry.Buffer.ElementSize);

    /// <summary>
    /// A tensor of this shape in the buffer of this name. Its content is undefined, and what was given out before under the name
    /// is overwritten. It belongs to the workspace: it is not to be disposed of, or moved to another scope.
    /// </summary>
    public Tensor Take(string name, ScalarType dtype, Device device, params ReadOnlySpan<long> shape)
    {
        var key = (name, dtype, device.type);
        var (buffer, views) = buffers.GetValueOrDefault(key);
        foreach (var (known, kept) in views ?? [])
        {
            if (shape.SequenceEqual(known))
            {
                return kept;
            }
        }

        var count = 1L;
        foreach (var length in shape)
        {
            count *= length;
        }

        if (buffer is null || buffer.shape[0] < count)
        {
            var grown = buffer is null ? count : Math.Max(count, buffer.shape[0] * 5 / 4); // rows that grow token by token
            Forget(views);
            buffer?.Dispose();
            buffers[key] = (buffer, views) = (empty([grown], dtype, device).DetachFromDisposeScope(), []);
        }
        else if (views!.Count == KeptViews)
        {
            Forget(views);
        }

        using var flat = buffer.narrow(0, 0, count);
        var view = flat.view(shape.ToArray()).DetachFromDisposeScope();
        views!.Add((shape.ToArray(), view));
        return view;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (buffer, views) in buffers.Values)
        {
            Forget(views);
            buffer.Dispose();
        }

        buffers.Clear();
    }

    private static void Forget(List<(long[] Shape, Tensor View)>? views)
    {
        views?.ForEach(entry => entry.View.Dispose());
        views?.Clear();
    }
}
