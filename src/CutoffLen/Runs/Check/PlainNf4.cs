namespace CutoffLen.Runs.Check;

/// <summary>
/// bitsandbytes' 4-bit quantization in plain arithmetic: nearest codes are found in float64, numbers are computed in float32 as
/// its CUDA kernels do (csrc/kernels.cu, kDequantizeBlockwise).
/// </summary>
/// <param name="Packed">Two codes a byte, the first in the high bits.</param>
/// <param name="Absmax">The largest magnitude of each block; with double quantization it becomes codes.</param>
/// <param name="Nested">Double quantization.</param>
internal sealed record PlainNf4(byte[] Packed, float[] Absmax, PlainNf4.NestedScales? Nested)
{
    private const int NestedBlockSize = 256;

    /// <summary>Codes of the scales, the largest magnitude of each block of 256, and what was subtracted before.</summary>
    public sealed record NestedScales(byte[] Codes, float[] Absmax, float Offset);

    /// <summary>The code book as bitsandbytes prints it (functional.py, get_4bit_type).</summary>
    public static float[] CodeBook { get; } =
    [
        -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
        0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f,
    ];

    /// <summary>
    /// The 8-bit dynamic code book (create_dynamic_map): for each power of ten from 1e-6 to 1 the means of the neighbours among 2, 3, 5,
    /// ..., 65 numbers from 0.1 to 1, with both signs; and 0 and 1.
    /// </summary>
    public static float[] DynamicMap { get; } =
    [
        .. Enumerable.Range(0, 7).SelectMany(i => Enumerable.Range(0, 1 << i).SelectMany(k =>
        {
            var mean = Math.Pow(10, i - 6) * (0.1 + (0.9 * (k + 0.5) / (1 << i)));
            return new[] { (float)mean, (float)-mean };
        })).Append(0f).Append(1f).Order(),
    ];

    public static PlainNf4 Quantize(float[] values, int blockSize, bool nested)
    {
        var (codes, absmax) = Quantize(values, blockSize, CodeBook);
        byte[] packed = [.. codes.Chunk(2).Select(pair => (byte)((pair[0] << 4) | pair[1]))];
        if (!nested)
        {
            return new(packed, absmax, null);
        }

        var offset = (float)absmax.Average(scale => (double)scale);
        var (scaleCodes, largest) = Quantize([.. absmax.Select(scale => scale - offset)], NestedBlockSize, DynamicMap);
        return new(packed, absmax, new(scaleCodes, largest, offset));
    }

    /// <summary>The numbers, before they are rounded to another type than float32.</summary>
    public float[] Dequantize(int blockSize)
    {
        var scales = Nested is null ? Absmax : [.. Nested.Codes.Select((code, n) => (DynamicMap[code] * Nested.Absmax[n / NestedBlockSize]) + Nested.Offset)];
        return [.. Packed.SelectMany(pair => new[] { pair >> 4, pair & 15 }).Select((code, n) => CodeBook[code] * scales[n / blockSize])];
    }

    private static (byte[] Codes, float[] Absmax) Quantize(float[] values, int blockSize, float[] codeBook)
    {
        float[] absmax = [.. values.Chunk(blockSize).Select(block => block.Max(Math.Abs))];
        return ([.. values.Select((value, n) => Nearest(absmax[n / blockSize] == 0 ? 0 : (double)value / absmax[n / blockSize]))], absmax);

        byte Nearest(double scaled)
        {
            var best = 0;
            for (var code = 1; code < codeBook.Length; code++)
            {
                best = Math.Abs(scaled - codeBook[code]) < Math.Abs(scaled - codeBook[best]) ? code : best;
            }

            return (byte)best;
        }
    }
}
