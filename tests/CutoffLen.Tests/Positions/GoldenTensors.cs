using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;

namespace CutoffLen.Tests.Positions;

/// <summary>Numbers of a golden safetensors file, read without the product's code.</summary>
internal sealed class GoldenTensors
{
    private readonly byte[] bytes;
    private readonly JsonObject header;
    private readonly int dataAt;

    private GoldenTensors(string name)
    {
        bytes = File.ReadAllBytes(Golden.Path(name));
        var length = (int)BinaryPrimitives.ReadInt64LittleEndian(bytes);
        header = JsonNode.Parse(Encoding.UTF8.GetString(bytes, 8, length))!.AsObject();
        dataAt = 8 + length;
    }

    public static GoldenTensors Read(string name) => new(name);

    public bool Has(string tensor) => header.ContainsKey(tensor);

    public int[] Shape(string tensor) => [.. header[tensor]!["shape"]!.AsArray().Select(n => (int)n!)];

    public float[] Floats(string tensor) => Values<float>(tensor, "F32");

    public int[] Ints(string tensor) => Values<int>(tensor, "I32");

    private T[] Values<T>(string tensor, string type)
        where T : unmanaged
    {
        var entry = header[tensor] ?? throw new InvalidOperationException($"no tensor {tensor}");
        Assert.Equal(type, (string)entry["dtype"]!);
        var (from, to) = ((int)entry["data_offsets"]![0]!, (int)entry["data_offsets"]![1]!);
        return MemoryMarshal.Cast<byte, T>(bytes.AsSpan(dataAt + from, to - from)).ToArray();
    }
}
