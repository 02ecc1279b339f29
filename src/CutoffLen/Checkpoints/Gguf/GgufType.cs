using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using CutoffLen.Common;
using static TorchSharp.torch;

namespace CutoffLen.Checkpoints.Gguf;

/// <summary>Element types of the matrices of a GGUF file, with the numbers of ggml.h's ggml_type.</summary>
public enum GgufType
{
    /// <summary>float32.</summary>
    F32 = 0,

    /// <summary>float16.</summary>
    F16 = 1,

    /// <summary>q8_0: blocks of 32 numbers, each a float16 scale and 32 signed bytes.</summary>
    Q8 = 8,

    /// <summary>bfloat16.</summary>
    BF16 = 30,
}

/// <summary>What the element types are, and numbers in them.</summary>
internal static class GgufTypes
{
    /// <summary>Numbers in a block of q8_0, which share a scale.</summary>
    public const int BlockSize = 32;

    /// <summary>Bytes of a block: the scale, then the numbers.</summary>
    public const int BlockBytes = sizeof(ushort) + BlockSize;

    // ggml_type in ggml.h.
    private static readonly Dictionary<uint, string> Unread = new()
    {
        [2] = "q4_0", [3] = "q4_1", [6] = "q5_0", [7] = "q5_1", [9] = "q8_1", [10] = "q2_K", [11] = "q3_K", [12] = "q4_K", [13] = "q5_K", [14] = "q6_K", [15] = "q8_K",
        [16] = "iq2_xxs", [17] = "iq2_xs", [18] = "iq3_xxs", [19] = "iq1_s", [20] = "iq4_nl", [21] = "iq3_s", [22] = "iq2_s", [23] = "iq4_xs", [24] = "i8", [25] = "i16",
        [26] = "i32", [27] = "i64", [28] = "f64", [29] = "iq1_m", [34] = "tq1_0", [35] = "tq2_0", [39] = "mxfp4",
    };

    /// <summary>llama.cpp's name.</summary>
    public static string Name(this GgufType type) => type == GgufType.Q8 ? "q8_0" : type.ToString().ToLowerInvariant();

    /// <summary>llama.cpp's name of a type that is not one of <see cref="GgufType"/>.</summary>
    public static string NameOf(uint type) => Unread.GetValueOrDefault(type, $"of the unknown type {type}");

    /// <summary>general.file_type (llama.h, llama_ftype): ALL_F32, MOSTLY_F16, MOSTLY_Q8_0, MOSTLY_BF16.</summary>
    public static int FileType(this GgufType type) => type switch
    {
        GgufType.F32 => 0,
        GgufType.F16 => 1,
        GgufType.Q8 => 7,
        _ => 32,
    };

    /// <summary>Bytes of so many numbers; of q8_0 whole blocks.</summary>
    public static long Bytes(this GgufType type, long count) => type switch
    {
        GgufType.F32 => count * sizeof(float),
        GgufType.Q8 => count / BlockSize * BlockBytes,
        _ => count * sizeof(ushort),
    };

    /// <summary>Numbers as a file has them.</summary>
    /// <param name="type">The type.</param>
    /// <param name="values">float32 on the CPU, contiguous.</param>
    /// <param name="name">The tensor's name in error messages.</param>
    /// <exception cref="UserException">float16 can't hold one of them.</exception>
    public static ReadOnlySpan<byte> Encode(this GgufType type, Tensor values, string name)
    {
        if (type is GgufType.F32)
        {
            return values.bytes;
        }

        if (type is GgufType.Q8)
        {
            return Quantize(MemoryMarshal.Cast<byte, float>(values.bytes));
        }

        var half = values.to(type is GgufType.F16 ? ScalarType.Float16 : ScalarType.BFloat16);
        return type is GgufType.BF16 || half.isfinite().all().item<bool>()
            ? half.bytes
            : throw new UserException($"{name} has values beyond float16's largest, 65504; export with --type bf16 or f32");
    }

    /// <summary>The shortest decimal of a float32, which is the number that was written: 1e-05, not 9.999999747378752e-06.</summary>
    public static double Decimal(float value) => double.Parse(value.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);

    /// <summary>q8_0 as ggml's reference computes it (quantize_row_q8_0_ref in ggml-quants.c): halves are rounded away from 0.</summary>
    public static byte[] Quantize(ReadOnlySpan<float> values)
    {
        var bytes = new byte[GgufType.Q8.Bytes(values.Length)];
        for (var block = 0; block < values.Length / BlockSize; block++)
        {
            var from = values.Slice(block * BlockSize, BlockSize);
            var to = bytes.AsSpan(block * BlockBytes, BlockBytes);
            var largest = 0f;
            foreach (var value in from)
            {
                largest = Math.Max(largest, Math.Abs(value));
            }

            var scale = largest / sbyte.MaxValue;
            var inverse = scale == 0 ? 0 : 1 / scale;
            BinaryPrimitives.WriteHalfLittleEndian(to, (Half)scale);
            for (var at = 0; at < BlockSize; at++)
            {
                to[sizeof(ushort) + at] = (byte)(sbyte)MathF.Round(from[at] * inverse, MidpointRounding.AwayFromZero);
            }
        }

        return bytes;
    }
}
