using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace CutoffLen.Tests.Checkpoints.Adapters;

/// <summary>A matrix or a vector (of one row) in float64.</summary>
internal sealed record PlainTensor(int[] Shape, double[] Values)
{
    public int Rows => Shape.Length == 2 ? Shape[0] : 1;

    public int Columns => Shape[^1];

    public double this[int row, int column]
    {
        get => Values[(row * Columns) + column];
        set => Values[(row * Columns) + column] = value;
    }

    public static PlainTensor Zeros(params int[] shape) => new(shape, new double[shape.Aggregate(1, (a, b) => a * b)]);

    public static PlainTensor Random(Random random, params int[] shape) =>
        new(shape, [.. Enumerable.Range(0, shape.Aggregate(1, (a, b) => a * b)).Select(_ => (double)(float)(random.NextDouble() - 0.5))]);

    public PlainTensor Copy() => new(Shape, [.. Values]);

    public PlainTensor Transposed()
    {
        var result = Zeros(Columns, Rows);
        for (var row = 0; row < Rows; row++)
        {
            for (var column = 0; column < Columns; column++)
            {
                result[column, row] = this[row, column];
            }
        }

        return result;
    }

    public PlainTensor Times(PlainTensor other)
    {
        var result = Zeros(Rows, other.Columns);
        for (var row = 0; row < Rows; row++)
        {
            for (var column = 0; column < other.Columns; column++)
            {
                result[row, column] = Enumerable.Range(0, Columns).Sum(k => this[row, k] * other[k, column]);
            }
        }

        return result;
    }

    public PlainTensor Plus(double factor, PlainTensor other) => new(Shape, [.. Values.Zip(other.Values, (a, b) => a + (factor * b))]);
}

/// <summary>Float32 safetensors files, read and written by the format's description alone.</summary>
internal static class PlainTensors
{
    public static Dictionary<string, PlainTensor> Read(string path)
    {
        var bytes = File.ReadAllBytes(path);
        var length = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        using var header = JsonDocument.Parse(bytes.AsMemory(8, length));
        return header.RootElement.EnumerateObject().Where(entry => entry.Name != "__metadata__").ToDictionary(entry => entry.Name, entry =>
        {
            Assert.Equal("F32", entry.Value.GetProperty("dtype").GetString());
            var offsets = entry.Value.GetProperty("data_offsets").EnumerateArray().Select(offset => offset.GetInt32()).ToArray();
            var floats = MemoryMarshal.Cast<byte, float>(bytes.AsSpan()[(8 + length + offsets[0])..(8 + length + offsets[1])]).ToArray();
            return new PlainTensor([.. entry.Value.GetProperty("shape").EnumerateArray().Select(size => size.GetInt32())], Array.ConvertAll(floats, value => (double)value));
        });
    }

    public static void Write(string path, IReadOnlyDictionary<string, PlainTensor> tensors)
    {
        var (header, data) = (new List<string>(), new List<byte>());
        foreach (var (name, tensor) in tensors)
        {
            var begin = data.Count;
            data.AddRange(MemoryMarshal.AsBytes<float>(Array.ConvertAll(tensor.Values, value => (float)value)));
            header.Add($$"""{{JsonSerializer.Serialize(name)}}:{"dtype":"F32","shape":[{{string.Join(',', tensor.Shape)}}],"data_offsets":[{{begin}},{{data.Count}}]}""");
        }

        File.WriteAllBytes(path, RawSafetensors.File(Encoding.UTF8.GetBytes("{" + string.Join(',', header) + "}"), [.. data]));
    }
}
