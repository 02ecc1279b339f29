using CutoffLen.Common;
using CutoffLen.Hardware;
using TorchSharp;
using static CutoffLen.Hardware.KeptScalars;
using static TorchSharp.torch;

namespace CutoffLen.Models.Llama;

/// <summary>How frozen weights are kept in fewer bits.</summary>
public enum Quantization
{
    /// <summary>4-bit NormalFloat with double quantization (QLoRA, arXiv 2305.14314).</summary>
    Nf4,
}

/// <summary>A weight as a source gives it.</summary>
/// <param name="Tensor">The weight; null where it is quantized.</param>
/// <param name="Quantized">The quantized weight, or null.</param>
public readonly record struct StoredWeight(Tensor? Tensor, Nf4Weight? Quantized)
{
    /// <summary>A weight that is not quantized.</summary>
    public static implicit operator StoredWeight(Tensor tensor) => new(tensor, null);

    /// <summary>A quantized weight.</summary>
    public static implicit operator StoredWeight(Nf4Weight quantized) => new(null, quantized);

    /// <summary>The weight as a tensor. A quantized one is dequantized and let go of.</summary>
    public Tensor Dense()
    {
        using (Quantized)
        {
            return Tensor ?? Quantized!.Dequantized();
        }
    }
}

/// <summary>How codes become numbers: bitsandbytes' QuantState (bitsandbytes/functional.py).</summary>
/// <param name="Absmax">[n / BlockSize] the largest magnitude of each block: float32, or codes, uint8.</param>
/// <param name="QuantMap">[16] float32, the code book.</param>
/// <param name="BlockSize">Numbers of a block.</param>
/// <param name="Dtype">What numbers are rounded to.</param>
/// <param name="Nested">How the codes of <paramref name="Absmax"/> become numbers; null where they are numbers.</param>
public sealed record QuantState(Tensor Absmax, Tensor QuantMap, int BlockSize, ScalarType Dtype, NestedQuantState? Nested);

/// <summary>Double quantization: the state of the 8-bit codes of a <see cref="QuantState.Absmax"/>.</summary>
/// <param name="Absmax">The largest magnitude of each block, float32; the last block may be shorter.</param>
/// <param name="QuantMap">[256] float32, the code book.</param>
/// <param name="BlockSize">Codes of a block.</param>
/// <param name="Offset">What was subtracted before the numbers became codes.</param>
public sealed record NestedQuantState(Tensor Absmax, Tensor QuantMap, int BlockSize, double Offset);

/// <summary>
/// A frozen matrix in 4-bit NormalFloat (QLoRA, Dettmers et al., arXiv 2305.14314, section 3), in bitsandbytes' layout. Each
/// block of 64 numbers is scaled by its largest magnitude, and each number becomes the nearest of 16 quantiles of a normal
/// distribution. The scales become codes of 8 bits in blocks of 256. That is 0.516 bytes a number.
/// <para>The matrix exists in full for each use alone, in the forward and again in the backward pass.</para>
/// </summary>
public sealed class Nf4Weight : IDisposable
{
    /// <summary>Numbers of a block.</summary>
    public const int BlockSize = 64;

    private const int NestedBlockSize = 256;
    private const long PieceOnCpu = 1 << 18; // numbers; stays in the cache
    private const long PieceOnGpu = 1 << 22;
    private const long PieceBytes = 2 + 4 + 2; // a number's code as an index, its value in float32, its rounded value

    // Appendix E of the paper; digits as in bitsandbytes/backends/utils.py.
    private static readonly float[] CodeBook =
    [
        -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
        0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f,
    ];

    private readonly Tensor packed; // [n / 2] uint8, the first of two codes in the high bits
    private readonly Tensor pairs; // [256, 2] float32, what a byte stands for
    private readonly QuantState state;
    private readonly long[] shape;
    private readonly ScalarType dtype;

    /// <summary>A matrix of these codes, whose tensors it owns from here on.</summary>
    /// <param name="packed">n / 2 bytes of two codes each, the first in the high bits.</param>
    /// <param name="state">What they mean.</param>
    /// <param name="shape">[out, in], together n.</param>
    /// <param name="dtype">What the matrix is computed with.</param>
    public Nf4Weight(Tensor packed, QuantState state, long[] shape, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        (this.packed, this.state, this.shape, this.dtype) = (packed.view(-1).DetachFromDisposeScope(), state, shape, dtype);
        var map = state.QuantMap;
        pairs = stack([map.repeat_interleave(16), map.repeat(16)], 1).DetachFromDisposeScope();
        foreach (var tensor in new[] { state.Absmax, state.Nested?.Absmax, state.Nested?.QuantMap })
        {
            tensor?.DetachFromDisposeScope();
        }
    }

    /// <summary>Quantizes a matrix [out, in] of a multiple of 64 numbers.</summary>
    public static Nf4Weight Quantize(Tensor weight)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var (flat, device) = (weight.view(-1), weight.device);
        var (packed, absmax) = (empty([flat.shape[0] / 2], ScalarType.Byte, device), empty([flat.shape[0] / BlockSize], ScalarType.Float32, device));
        var (map, piece) = (tensor(CodeBook).to(device), Piece(device));
        var midpoints = Midpoints(map);
        for (var start = 0L; start < flat.shape[0]; start += piece)
        {
            using var step = NewDisposeScope();
            var count = Math.Min(piece, flat.shape[0] - start);
            var codes = Kernels.QuantizeBlockwise(flat.narrow(0, start, count), midpoints, BlockSize, absmax.narrow(0, start / BlockSize, count / BlockSize)).view(-1, 2);
            packed.narrow(0, start / 2, count / 2).copy_(codes.select(1, 0).mul_(Kept(16L)).add_(codes.select(1, 1)));
        }

        var (scales, nested) = QuantizeScales(absmax);
        return new Nf4Weight(packed, new QuantState(scales, map, BlockSize, weight.dtype, nested), weight.shape, weight.dtype);
    }

    /// <summary>A source that quantizes the projections of another as it hands them out.</summary>
    /// <exception cref="UserException">From the source: a projection has no whole number of blocks.</exception>
    public static WeightSource Source(WeightSource weights) => (name, shape) =>
    {
        if (!LlamaParameters.IsProjection(name, shape))
        {
            return weights(name, shape);
        }

        using var scope = NewDisposeScope();
        return shape[0] * shape[1] % BlockSize == 0
            ? Quantize(weights(name, shape).Dense())
            : throw new UserException($"quantization: nf4: {name} of shape [{string.Join(", ", shape)}] has no whole number of blocks of {BlockSize} numbers");
    };

    /// <summary>Bytes of matrices of so many numbers together.</summary>
    public static long Bytes(long count) => (count / 2) + (count / BlockSize) + (sizeof(float) * count / BlockSize / NestedBlockSize);

    /// <summary>Bytes that dequantizing a matrix of so many numbers takes, the result included.</summary>
    /// <param name="count">Numbers of the largest matrix.</param>
    /// <param name="width">Bytes of a number of the result.</param>
    /// <param name="onGpu">Whether it is on a GPU.</param>
    public static long DequantizedBytes(long count, int width, bool onGpu) =>
        (width * count) + (PieceBytes * Math.Min(count, onGpu ? PieceOnGpu : PieceOnCpu)) + (4 * sizeof(float) * count / BlockSize); // scales: index, code's value, block's scale, product

    /// <summary>[out, in] the matrix, in the current scope.</summary>
    public Tensor Dequantized()
    {
        var output = empty(shape, dtype, packed.device);
        DequantizeInto(output);
        return output;
    }

    /// <summary>[out, in] the matrix, in memory that the next one overwrites.</summary>
    public Tensor Dequantized(Workspace workspace)
    {
        var output = workspace.Take("dequantized", dtype, packed.device, shape);
        DequantizeInto(output);
        return output;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in new[] { packed, pairs, state.Absmax, state.Nested?.Absmax, state.Nested?.QuantMap })
        {
            tensor?.Dispose();
        }
    }

    private void DequantizeInto(Tensor output)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Kernels.Dequantize4Bit(packed, pairs, Scales(), state.BlockSize, Piece(output.device), state.Dtype, output);
    }

    /// <summary>[n / block size] float32, the scale of each block.</summary>
    private Tensor Scales()
    {
        if (state.Nested is not { } nested)
        {
            return state.Absmax;
        }

        var codes = state.Absmax.view(-1).to(ScalarType.Int32);
        var ofBlocks = nested.Absmax.repeat_interleave(nested.BlockSize).narrow(0, 0, codes.shape[0]);
        return nested.QuantMap.index_select(0, codes).mul_(ofBlocks).add_(Kept(nested.Offset));
    }

    /// <summary>Scales less their mean, as codes of 8 bits.</summary>
    private static (Tensor Codes, NestedQuantState State) QuantizeScales(Tensor absmax)
    {
        var (count, offset) = (absmax.shape[0], absmax.mean());
        var blocks = (count + NestedBlockSize - 1) / NestedBlockSize;
        var padded = zeros([blocks * NestedBlockSize], ScalarType.Float32, absmax.device);
        padded.narrow(0, 0, count).copy_(absmax - offset);
        var (map, largest) = (DynamicMap().to(absmax.device), empty([blocks], ScalarType.Float32, absmax.device));
        var codes = Kernels.QuantizeBlockwise(padded, Midpoints(map), NestedBlockSize, largest).narrow(0, 0, count).clone();
        return (codes, new NestedQuantState(largest, map, NestedBlockSize, offset.item<float>()));
    }

    /// <summary>
    /// [256] the signed dynamic code book of 8 bits (arXiv 1511.04561; create_dynamic_map of bitsandbytes): of each power of ten
    /// from 1e-6 to 1, 2^0 to 2^6 means of a uniform division, with both signs; 0 and 1.
    /// </summary>
    private static Tensor DynamicMap()
    {
        var values = new List<Tensor> { zeros(1), ones(1) };
        for (var i = 0; i < 7; i++)
        {
            var bounds = linspace(0.1, 1, (1 << i) + 1, ScalarType.Float32);
            var means = (bounds.narrow(0, 0, 1 << i) + bounds.narrow(0, 1, 1 << i)).div_(Kept(2.0)).mul_(Kept(Math.Pow(10, i - 6)));
            values.AddRange([means, -means]);
        }

        return cat(values).sort().Values;
    }

    private static Tensor Midpoints(Tensor map) => (map.narrow(0, 0, map.shape[0] - 1) + map.narrow(0, 1, map.shape[0] - 1)).div_(Kept(2.0));

    private static long Piece(Device device) => device.type == DeviceType.CPU ? PieceOnCpu : PieceOnGpu;
}
