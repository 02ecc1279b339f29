using CutoffLen.Positions;
using static TorchSharp.torch;

namespace CutoffLen.Models.Attention;

/// <summary>
/// A <see cref="PositionEncoding"/> on the device: a linear map of each vector, and its transpose for gradients.
/// Maps are computed in float32 and rounded once to the vectors' dtype.
/// </summary>
internal abstract class DeviceEncoding : IDisposable
{
    /// <summary>[B, N, n, D] vectors of the tokens from <paramref name="start"/> on, encoded and scaled.</summary>
    public abstract Tensor Apply(Tensor x, int start);

    /// <summary>The transposed map, for the gradient of <see cref="Apply"/>.</summary>
    public abstract Tensor ApplyTransposed(Tensor x, int start);

    public abstract void Dispose();

    /// <summary>Puts an encoding on the device; <paramref name="scale"/> multiplies every vector.</summary>
    public static DeviceEncoding Create(PositionEncoding encoding, double scale, Device device) => encoding switch
    {
        Rotation rotation => new DeviceRotation(rotation, scale, device),
        Reordering reordering => new DeviceReordering(reordering, scale, device),
        _ => new DeviceScale(scale),
    };
}

internal sealed class DeviceScale(double scale) : DeviceEncoding
{
    public override Tensor Apply(Tensor x, int start) => scale == 1 ? x : x * scale;

    public override Tensor ApplyTransposed(Tensor x, int start) => Apply(x, start);

    public override void Dispose() { }
}

internal sealed class DeviceRotation : DeviceEncoding
{
    private readonly Tensor cos; // [T, D/2] float32
    private readonly Tensor sin;
    private readonly Tensor minusSin;

    public DeviceRotation(Rotation rotation, double scale, Device device)
    {
        using var scope = NewDisposeScope();
        long[] shape = [rotation.Cos.Length / rotation.HalfDim, rotation.HalfDim];
        cos = (tensor(rotation.Cos, shape) * scale).to(device).DetachFromDisposeScope();
        sin = (tensor(rotation.Sin, shape) * scale).to(device).DetachFromDisposeScope();
        minusSin = sin.neg().DetachFromDisposeScope();
    }

    public override Tensor Apply(Tensor x, int start) => Rotate(x, start, sin, minusSin);

    public override Tensor ApplyTransposed(Tensor x, int start) => Rotate(x, start, minusSin, sin);

    public override void Dispose()
    {
        cos.Dispose();
        sin.Dispose();
        minusSin.Dispose();
    }

    private Tensor Rotate(Tensor x, int start, Tensor sinTable, Tensor minusSinTable)
    {
        using var scope = NewDisposeScope(); // the float32 steps would stay until the attention ends
        var (tokens, half) = (x.shape[2], cos.shape[1]);
        var (c, s, m) = (Rows(cos), Rows(sinTable), Rows(minusSinTable)); // [n, D/2]
        var wide = x.to(ScalarType.Float32);
        var (a, b) = (wide.narrow(-1, 0, half), wide.narrow(-1, half, half));
        return cat([(a * c).addcmul_(b, m, 1), (b * c).addcmul_(a, s, 1)], -1).to(x.dtype).MoveToOuterDisposeScope();

        Tensor Rows(Tensor table) => table.narrow(0, start, tokens);
    }
}

internal sealed class DeviceReordering : DeviceEncoding
{
    private readonly Tensor index; // [K, T, D] int64
    private readonly Tensor inverse;
    private readonly Tensor scales; // [K, T, 1] float32

    public DeviceReordering(Reordering reordering, double scale, Device device)
    {
        using var scope = NewDisposeScope();
        var factors = reordering.Scale is { } given ? tensor(given) * scale : tensor(new[] { (float)scale });
        var heads = reordering.Scale is null ? 1L : reordering.Heads;
        index = tensor(Array.ConvertAll(reordering.Index, i => (long)i)).view(reordering.Heads, -1, reordering.HeadDim)
            .to(device).DetachFromDisposeScope();
        inverse = index.argsort(-1).DetachFromDisposeScope();
        scales = factors.view(heads, -1, 1).to(device).DetachFromDisposeScope();
    }

    public override Tensor Apply(Tensor x, int start) => Reorder(Scaled(x, start), index, start);

    public override Tensor ApplyTransposed(Tensor x, int start) => Scaled(Reorder(x, inverse, start), start);

    public override void Dispose()
    {
        index.Dispose();
        inverse.Dispose();
        scales.Dispose();
    }

    private Tensor Scaled(Tensor x, int start)
    {
        var rows = scales.shape[1] == 1 ? scales : scales.narrow(1, start, x.shape[2]); // [K, n, 1]
        var byHead = rows.repeat_interleave(x.shape[1] / rows.shape[0], 0);
        return (x.to(ScalarType.Float32) * byHead).to(x.dtype);
    }

    private static Tensor Reorder(Tensor x, Tensor order, int start)
    {
        var rows = order.narrow(1, start, x.shape[2]).repeat_interleave(x.shape[1] / order.shape[0], 0);
        return x.gather(-1, rows.unsqueeze(0).expand(x.shape[0], -1, -1, -1));
    }
}
