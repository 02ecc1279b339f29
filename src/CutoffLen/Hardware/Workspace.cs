using static TorchSharp.torch;

namespace CutoffLen.Hardware;

/// <summary>
/// Memory that is made once and used again by every layer and every step, by name. Fresh memory costs a CPU page faults and
/// leaves holes in the C heap. A buffer has the size of the largest shape that was asked for.
/// </summary>
public sealed class Workspace : IDisposable
{
    private readonly Dictionary<(string Name, ScalarType Dtype, TorchSharp.DeviceType Device), Tensor> buffers = [];

    /// <summary>Bytes of all buffers.</summary>
    public long Bytes => buffers.Values.Sum(buffer => buffer.numel() * buffer.ElementSize);

    /// <summary>
    /// A tensor of this shape in the buffer of this name. Its content is undefined, and what was given out before under the name
    /// is overwritten.
    /// </summary>
    public Tensor Take(string name, ScalarType dtype, Device device, params ReadOnlySpan<long> shape)
    {
        var count = 1L;
        foreach (var length in shape)
        {
            count *= length;
        }

        var key = (name, dtype, device.type);
        if (!buffers.TryGetValue(key, out var buffer) || buffer.shape[0] < count)
        {
            var grown = buffer is null ? count : Math.Max(count, buffer.shape[0] * 5 / 4); // rows that grow token by token
            buffer?.Dispose();
            buffers[key] = buffer = empty([grown], dtype, device).DetachFromDisposeScope();
        }

        using var flat = buffer.narrow(0, 0, count);
        return flat.view(shape.ToArray());
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var buffer in buffers.Values)
        {
            buffer.Dispose();
        }

        buffers.Clear();
    }
}
