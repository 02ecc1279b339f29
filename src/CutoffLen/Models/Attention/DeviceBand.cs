using CutoffLen.Hardware;
using CutoffLen.Positions;
using static CutoffLen.Hardware.KeptScalars;
using static TorchSharp.torch;

namespace CutoffLen.Models.Attention;

/// <summary>A band with its encodings on the device. The scores' factors 1/sqrt(D) and <see cref="EncodedHeads.ScoreFactor"/> are in the queries' encoding.</summary>
internal sealed class DeviceBand : IDisposable
{
    private readonly Tensor? slopes; // [K, G, 1, 1] float32, ALiBi's
    private readonly Tensor? positions; // [T] float32
    private readonly double scale;

    public DeviceBand(Band band, DeviceEncoding keys, TokenPositions tokens, IAttentionShape shape, Device device)
    {
        (Band, Keys) = (band, keys);
        scale = EncodedHeads.ScoreFactor / Math.Sqrt(shape.HeadDim);
        Queries = DeviceEncoding.Create(band.Queries, scale, device);
        if (band.BiasSlopes is { } given)
        {
            using var scope = NewDisposeScope();
            slopes = tensor(Array.ConvertAll(given, slope => slope * EncodedHeads.ScoreFactor), ScalarType.Float32).view(shape.NumKeyValueHeads, -1, 1, 1).to(device).DetachFromDisposeScope();
            positions = tensor(Array.ConvertAll(tokens.Ids, id => (float)id)).to(device).DetachFromDisposeScope();
        }
    }

    public Band Band { get; }

    public DeviceEncoding Queries { get; }

    public DeviceEncoding Keys { get; }

    /// <summary>The rest of the encodings for queries and keys that have the position encoding of both already.</summary>
    public (DeviceEncoding Queries, DeviceEncoding Keys) Remaining => (new DeviceScale(scale), new DeviceScale(1));

    /// <summary>Adds the band's bias to float32 scores [c, G, n, keys] of the pairs from a first one on, in place.</summary>
    public void AddBias(Tensor scores, long firstPair, int firstQuery, int firstKey)
    {
        if (slopes is null || positions is null)
        {
            return;
        }

        var (pairs, queries, keys) = (scores.shape[0], scores.shape[2], scores.shape[3]);
        var distance = positions.narrow(0, firstKey, keys) - positions.narrow(0, firstQuery, queries).unsqueeze(-1);
        var heads = (arange(Kept(pairs), ScalarType.Int64, scores.device) + Kept(firstPair)) % Kept(slopes.shape[0]);
        scores.addcmul_(slopes.index_select(0, heads), distance, Kept(1));
    }

    public void Dispose()
    {
        Queries.Dispose();
        Keys.Dispose();
        slopes?.Dispose();
        positions?.Dispose();
    }
}

/// <summary>
/// A <see cref="PositionEncoding"/> on the device: a linear map of each vector, and its transpose for gradients.
/// It computes in float32 and rounds once to the vectors' dtype.
/// </summary>
internal abstract class DeviceEncoding : IDisposable
{
    /// <summary>Encodes and scales vectors [B, N, n, D] of the tokens from <paramref name="start"/> on into <paramref name="output"/>.</summary>
    public abstract void Apply(Tensor x, int start, Tensor output, Workspace workspace);

    /// <summary>The transposed map, for the gradient of <see cref="Apply"/>.</summary>
    public abstract void ApplyTransposed(Tensor x, int start, Tensor output, Workspace workspace);

    public abstract void Dispose();

    /// <summary>Puts an encoding on the device; <paramref name="scale"/> multiplies every vector.</summary>
    public static DeviceEncoding Create(PositionEncoding encoding, double scale, Device device) => encoding switch
    {
        Rotation rotation => new DeviceRotation(rotation, scale, device),
        Reordering reordering => new DeviceReordering(reordering, scale, device),
        RotationByHead rotation => new DeviceRotationByHead(rotation, scale, device),
        _ => new DeviceScale(scale),
    };
}

/// <summary>No encoding but the scale.</summary>
internal sealed class DeviceScale(double scale) : DeviceEncoding
{
    public override void Apply(Tensor x, int start, Tensor output, Workspace workspace) => _ = scale == 1 ? output.copy_(x) : output.copy_(x).mul_(Kept(scale));

    public override void ApplyTransposed(Tensor x, int start, Tensor output, Workspace workspace) => Apply(x, start, output, workspace);

    public override void Dispose() { }
}

/// <summary>
/// Rotates the two halves of each vector, as Hugging Face pairs them. A table narrower than D/2 rotates the first numbers of
/// each vector, and the others are scaled only (partial_rotary_factor).
/// </summary>
internal sealed class DeviceRotation : DeviceEncoding
{
    private readonly Tensor cos; // [T, R/2] float32
    private readonly Tensor sin;
    private readonly DeviceScale ofOthers;

    public DeviceRotation(Rotation rotation, double scale, Device device)
    {
        using var scope = NewDisposeScope();
        ofOthers = new DeviceScale(scale);
        long[] shape = [rotation.Cos.Length / rotation.HalfDim, rotation.HalfDim];
        cos = (tensor(rotation.Cos, shape) * Kept(scale)).to(device).DetachFromDisposeScope();
        sin = (tensor(rotation.Sin, shape) * Kept(scale)).to(device).DetachFromDisposeScope();
    }

    public override void Apply(Tensor x, int start, Tensor output, Workspace workspace) => Rotate(x, start, 1, output, workspace);

    public override void ApplyTransposed(Tensor x, int start, Tensor output, Workspace workspace) => Rotate(x, start, -1, output, workspace);

    public override void Dispose()
    {
        cos.Dispose();
        sin.Dispose();
    }

    private void Rotate(Tensor x, int start, double direction, Tensor output, Workspace workspace)
    {
        using var scope = NewDisposeScope();
        var float32 = output.dtype == ScalarType.Float32 ? output : workspace.Take("rotation", ScalarType.Float32, x.device, x.shape);
        var (width, rotated) = (x.shape[^1], 2 * cos.shape[1]);
        Kernels.Rotate(First(x), cos.narrow(0, start, x.shape[2]), sin.narrow(0, start, x.shape[2]), direction, First(float32));
        if (rotated < width)
        {
            ofOthers.Apply(x.narrow(-1, rotated, width - rotated), start, float32.narrow(-1, rotated, width - rotated), workspace);
        }

        if (!ReferenceEquals(float32, output))
        {
            output.copy_(float32);
        }

        Tensor First(Tensor vectors) => rotated == width ? vectors : vectors.narrow(-1, 0, rotated);
    }
}

/// <summary>Two rotations, of which each query head takes its own pairs. Vectors have a head for each query head.</summary>
internal sealed class DeviceRotationByHead : DeviceEncoding
{
    private readonly DeviceRotation chosen;
    private readonly DeviceRotation others;
    private readonly Tensor isChosen; // [H, 1, R] bool

    public DeviceRotationByHead(RotationByHead rotation, double scale, Device device)
    {
        using var scope = NewDisposeScope();
        (chosen, others) = (new DeviceRotation(rotation.Chosen, scale, device), new DeviceRotation(rotation.Others, scale, device));
        var ofPairs = tensor(rotation.IsChosen).view(-1, 1, rotation.Chosen.HalfDim);
        isChosen = cat([ofPairs, ofPairs], -1).to(device).DetachFromDisposeScope();
    }

    public override void Apply(Tensor x, int start, Tensor output, Workspace workspace) =>
        Choose(output, workspace, (rotation, result) => rotation.Apply(x, start, result, workspace));

    // A choice of whole pairs commutes with rotations of pairs.
    public override void ApplyTransposed(Tensor x, int start, Tensor output, Workspace workspace) =>
        Choose(output, workspace, (rotation, result) => rotation.ApplyTransposed(x, start, result, workspace));

    public override void Dispose()
    {
        chosen.Dispose();
        others.Dispose();
        isChosen.Dispose();
    }

    private void Choose(Tensor output, Workspace workspace, Action<DeviceRotation, Tensor> rotate)
    {
        using var scope = NewDisposeScope();
        var ofChosen = workspace.Take("chosen pairs", output.dtype, output.device, output.shape);
        rotate(chosen, ofChosen);
        rotate(others, output);
        var rotated = output.narrow(-1, 0, isChosen.shape[^1]);
        rotated.copy_(where(isChosen, ofChosen.narrow(-1, 0, isChosen.shape[^1]), rotated));
    }
}

/// <summary>Permutes the numbers of each vector, and scales it by its position.</summary>
internal sealed class DeviceReordering : DeviceEncoding
{
    private readonly Tensor index; // [K, T, D] int64
    private readonly Tensor inverse;
    private readonly Tensor scales; // [K, T, 1] float32

    public DeviceReordering(Reordering reordering, double scale, Device device)
    {
        using var scope = NewDisposeScope();
        var factors = reordering.Scale is { } given ? tensor(given) * Kept(scale) : tensor(new[] { (float)scale });
        var heads = reordering.Scale is null ? 1L : reordering.Heads;
        index = tensor(Array.ConvertAll(reordering.Index, i => (long)i)).view(reordering.Heads, -1, reordering.HeadDim)
            .to(device).DetachFromDisposeScope();
        inverse = index.argsort(-1).DetachFromDisposeScope();
        scales = factors.view(heads, -1, 1).to(device).DetachFromDisposeScope();
    }

    public override void Apply(Tensor x, int start, Tensor output, Workspace workspace) =>
        output.copy_(Reorder(Scaled(x, start), index, start));

    public override void ApplyTransposed(Tensor x, int start, Tensor output, Workspace workspace) =>
        output.copy_(Scaled(Reorder(x, inverse, start), start));

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
