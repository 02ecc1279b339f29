using TorchSharp;
using static TorchSharp.torch;

namespace Standins.Tests.TorchSharp;

/// <summary>Numbers into tensors and out again, and memory that both sides share.</summary>
public sealed class DataTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Arrays_of_every_type_become_tensors_of_that_type()
    {
        bool[] truths = [true, false];
        Assert.Equal(ScalarType.Byte, tensor(new byte[] { 1, 2 }).dtype);
        Assert.Equal(ScalarType.Int8, tensor(new sbyte[] { 1, -2 }).dtype);
        Assert.Equal(ScalarType.Int16, tensor(new short[] { 1, -2 }).dtype);
        Assert.Equal(ScalarType.Int32, tensor(new[] { 1, -2 }).dtype);
        Assert.Equal(ScalarType.Int64, tensor(new[] { 1L, -2 }).dtype);
        Assert.Equal(ScalarType.Float32, tensor(new[] { 1f, -2 }).dtype);
        Assert.Equal(ScalarType.Float64, tensor(new[] { 1.0, -2 }).dtype);
        Assert.Equal(ScalarType.Bool, tensor(truths).dtype);
        Assert.Equal(ScalarType.Float16, tensor(new[] { (Half)1, (Half)(-2) }).dtype);
        Assert.Equal([1f, -2f], tensor(new[] { 1f, -2 }).data<float>().ToArray());
        Assert.Equal(truths, tensor(truths).data<bool>().ToArray());
        Assert.Equal([(Half)1, (Half)(-2)], tensor(new[] { (Half)1, (Half)(-2) }).data<Half>().ToArray());
    }

    [Fact]
    public void Numbers_become_tensors_of_their_own_type()
    {
        Assert.Equal(ScalarType.Int32, tensor(1).dtype);
        Assert.Equal(ScalarType.Int64, tensor(1L).dtype);
        Assert.Equal(ScalarType.Float32, tensor(1f).dtype);
        Assert.Equal(ScalarType.Float64, tensor(1.0).dtype);
        Assert.Equal(ScalarType.Bool, tensor(true).dtype);
        Assert.Equal(ScalarType.BFloat16, tensor(1.0, bfloat16).dtype);
        Assert.Empty(tensor(1).shape);
        Tensor implicitly = 2.5f;
        Assert.Equal(2.5f, implicitly.item<float>());
        Assert.Equal(7, (int)tensor(7L));
        Assert.Equal(0.5, (double)tensor(0.5f));
    }

    [Fact]
    public void Arrays_of_several_dimensions_keep_their_shape()
    {
        Tensor matrix = tensor(new[,] { { 1f, 2, 3 }, { 4, 5, 6 } });
        Assert.Equal([2L, 3L], matrix.shape);
        Assert.Equal(6f, matrix[1, 2].item<float>());
        Assert.Equal([1L, 2L, 2L], tensor(new long[,,] { { { 1, 2 }, { 3, 4 } } }).shape);
        Assert.Equal([2L, 2L], tensor(new List<double> { 1, 2, 3, 4 }, 2, 2).shape);
        float[,] back = (float[,])matrix.data<float>().ToNDArray();
        Assert.Equal(new[,] { { 1f, 2, 3 }, { 4, 5, 6 } }, back);
        Assert.Throws<ArgumentException>(() => tensor(new[] { 1f, 2 }, [3L]));
    }

    [Fact]
    public void A_tensor_of_an_array_is_a_copy_and_one_from_a_buffer_is_not()
    {
        float[] numbers = [1, 2, 3, 4];
        Tensor copy = tensor(numbers);
        Tensor shared = frombuffer(numbers, float32);
        Tensor tail = frombuffer(numbers, float32, count: 2, offset: 1);
        numbers[1] = 20;
        Assert.Equal(2f, copy[1].item<float>());
        Assert.Equal(20f, shared[1].item<float>());
        Assert.Equal(22.0, (tail.sum() - 1).ToDouble());
        shared.mul_(2);
        Assert.Equal([2f, 40f, 6f, 8f], numbers);
        Assert.Equal(float64, frombuffer(numbers, float64).dtype);
        as_tensor(numbers).zero_();
        Assert.Equal([0f, 0f, 0f, 0f], numbers);
        Assert.Equal(ScalarType.Bool, as_tensor(new bool[1]).dtype);
        Assert.Equal([2L, 1], from_array(new Half[2, 1]).shape);
        Assert.Throws<NotSupportedException>(() => from_array(new decimal[1]));
        Assert.Throws<ArgumentException>(() => frombuffer(numbers, float32, offset: 4));
        Assert.Throws<IndexOutOfRangeException>(() => frombuffer(numbers, float32, count: 9));
    }

    [Fact]
    public void A_shared_array_outlives_its_last_other_reference()
    {
        Tensor shared = Share();
        for (int i = 0; i < 5; i++)
        {
            GC.Collect();
            _ = new byte[1 << 22];
        }

        Assert.Equal(499_500, shared.sum().ToDouble());

        static Tensor Share() => frombuffer(Enumerable.Range(0, 1000).Select(i => (float)i).ToArray(), float32);
    }

    [Fact]
    public void A_file_is_mapped_and_not_read()
    {
        string path = Path.GetTempFileName();
        try
        {
            byte[] bytes = Enumerable.Range(0, 4096).SelectMany(i => BitConverter.GetBytes((float)i)).ToArray();
            File.WriteAllBytes(path, bytes);
            using Tensor mapped = from_file(path, shared: true, size: 4096, dtype: float32);
            Assert.Equal(4095f, mapped[4095].item<float>());
            Tensor asBytes = from_file(path, shared: true, size: bytes.Length, dtype: uint8);
            Assert.Equal(bytes, asBytes.bytes.ToArray());
            Tensor reinterpreted = from_file(path, shared: false, size: 8192, dtype: bfloat16)[TensorIndex.Slice(1, null, 2)];
            Assert.Equal(4080f, reinterpreted[4095].to(float32).item<float>()); // 4095 to 8 bits

            mapped[0] = -1f;
            Assert.Equal(-1f, from_file(path, shared: false, size: 1, dtype: float32)[0].item<float>());
            using Tensor mine = from_file(path, shared: false, size: 4096, dtype: float32);
            mine[1] = -7f;
            Assert.Equal(1f, mapped[1].item<float>());
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void Bytes_are_the_memory_itself()
    {
        Tensor numbers = tensor(new[] { 1f, 2 });
        Assert.Equal(8, numbers.bytes.Length);
        BitConverter.TryWriteBytes(numbers.bytes[4..], 5f);
        Assert.Equal(5f, numbers[1].item<float>());
        numbers.bytes = new byte[8];
        Assert.Equal(0.0, numbers.abs().sum().ToDouble());
        Assert.Throws<InvalidOperationException>(() => ones(3, 2).t().bytes.Length);
        Tensor half = tensor(new[] { 1.5f, -2 }, bfloat16);
        Assert.Equal(4, half.bytes.Length);
        Assert.Equal(0x3FC0, BitConverter.ToUInt16(half.bytes));
        Assert.Equal(-2f, half.ReadCpuBFloat16(1));
        Assert.Equal(1.5f, half.half().ReadCpuFloat16(0));
    }

    [Fact]
    public void Bytes_go_through_streams()
    {
        Tensor numbers = randn(1000);
        using MemoryStream stream = new();
        numbers.WriteBytesToStream(stream);
        stream.Position = 0;
        Tensor back = empty(1000);
        back.ReadBytesFromStream(stream);
        Assert.True(numbers.Equals(back));
    }

    [Fact]
    public void An_accessor_reads_and_writes_in_the_order_of_the_dimensions()
    {
        Tensor numbers = arange(6).view(2, 3);
        Assert.Equal([0L, 3, 1, 4, 2, 5], numbers.t().data<long>());
        Assert.Equal([0L, 3, 1, 4, 2, 5], numbers.t().data<long>().ToArray());
        Assert.Equal(4L, numbers.t().data<long>()[1, 1]);
        Assert.Equal(4L, numbers.t().data<long>()[3]);
        Assert.Equal(6, numbers.data<long>().Count);
        numbers.data<long>()[1, 0] = 30;
        Assert.Equal(30L, numbers[1, 0].item<long>());
        long[] part = new long[2];
        numbers.data<long>().CopyTo(part, tensorIndex: 4);
        Assert.Equal([4L, 5], part);
        numbers.data<long>().CopyFrom([7L, 8, 9]);
        Assert.Equal([7L, 8, 9, 30, 4, 5], numbers.data<long>());
        Assert.Throws<IndexOutOfRangeException>(() => numbers.data<long>()[2, 0]);
        Assert.Equal(9L, numbers.ReadCpuInt64(2));
    }

    [Fact]
    public void Types_change_as_asked()
    {
        Tensor numbers = tensor(new[] { 1.25f, -2.75f });
        Assert.Equal([1L, -2L], numbers.to(int64).data<long>());
        Assert.Equal(bfloat16, numbers.bfloat16().dtype);
        Assert.Equal(float16, numbers.half().dtype);
        Assert.Equal(float64, numbers.@double().dtype);
        Assert.Equal(ScalarType.Bool, numbers.@bool().dtype);
        Assert.Equal(int32, numbers.type(int32).dtype);
        Assert.Equal(float64, numbers.type_as(ones(1, dtype: float64)).dtype);
        Assert.Equal(float32, numbers.to(CPU).dtype);
        Tensor same = numbers.to(float32);
        same[0] = 9f;
        Assert.Equal(9f, numbers[0].item<float>());
        Tensor copied = numbers.to(float32, copy: true);
        copied[0] = 1f;
        Assert.Equal(9f, numbers[0].item<float>());
        Tensor gone = numbers.clone();
        _ = gone.to(float64, disposeAfter: true);
        Assert.True(gone.IsInvalid);
        Assert.Equal(float64, result_type(ones(1), ones(1, dtype: float64)));
        Assert.Equal(float32, promote_types(int64, float32));
        Assert.True(is_floating_point(bfloat16));
        Assert.True(is_integral(int64));
        Assert.Equal(3.3895313892515355e38, finfo(bfloat16).max);
    }

    [Fact]
    public void A_tensor_tells_its_shape_and_kind()
    {
        Tensor numbers = zeros(2, 3, 4, float64);
        Assert.Equal([2L, 3, 4], numbers.shape);
        Assert.Equal([12L, 4, 1], numbers.stride());
        Assert.Equal(4, numbers.size(-1));
        Assert.Equal(3, numbers.ndim);
        Assert.Equal(24, numbers.numel());
        Assert.Equal(8, numbers.element_size());
        Assert.Equal(DeviceType.CPU, numbers.device_type);
        Assert.Equal("cpu", numbers.device.ToString());
        Assert.True(numbers.is_contiguous());
        Assert.False(numbers.transpose(0, 1).is_contiguous());
        Assert.Equal(4, numbers[0, 1].storage_offset());
        Assert.Equal("[2x3x4], type = Float64, device = cpu", numbers.ToString());
        Assert.False(numbers.is_cuda);
        Assert.True(zeros(2, device: META).is_meta);
    }

    [Fact]
    public void Scalars_keep_their_type()
    {
        Assert.Equal(ScalarType.Int64, tensor(3).ToScalar().Type);
        Assert.Equal(ScalarType.Float64, tensor(3f).ToScalar().Type);
        Assert.Equal(ScalarType.Bool, tensor(true).ToScalar().Type);
        Assert.Equal(3, tensor(3.9).ToInt32());
        Assert.Equal(2.5f, tensor(2.5).ToSingle());
        Assert.True(tensor(1).ToBoolean());
        Assert.Equal(1 + (1L << 40), (zeros(1, dtype: int64) + (1 + (1L << 40))).ToInt64());
    }

    [Fact]
    public void The_number_of_threads_can_be_set()
    {
        int before = get_num_threads();
        set_num_threads(1);
        Assert.Equal(1, get_num_threads());
        set_num_threads(before);
        Assert.Equal(before, get_num_threads());
    }

    [Fact]
    public void The_default_type_is_that_of_new_floating_tensors()
    {
        try
        {
            set_default_dtype(float64);
            Assert.Equal(float64, zeros(1).dtype);
            Assert.Equal(float64, arange(0, 1, 0.5).dtype);
        }
        finally
        {
            set_default_dtype(float32);
        }

        Assert.Equal(float32, rand(1).dtype);
        Assert.Equal(int64, arange(3).dtype);
        Assert.Throws<ArgumentException>(() => set_default_dtype(int64));
    }
}
