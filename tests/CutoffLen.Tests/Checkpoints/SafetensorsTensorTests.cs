using System.Runtime.InteropServices;
using CutoffLen.Checkpoints.Safetensors;
using CutoffLen.Common;
using TorchSharp;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Checkpoints;

public sealed class SafetensorsTensorTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly DisposeScope scope = NewDisposeScope();

    public void Dispose()
    {
        scope.Dispose();
        folder.Dispose();
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Int64)]
    [InlineData(ScalarType.Int32)]
    [InlineData(ScalarType.Byte)]
    public void What_is_written_is_read_bit_for_bit(ScalarType dtype)
    {
        manual_seed(1);
        var tensor = (randn(7, 5) * 100).to(dtype);
        SafetensorsWriter.Write(folder["x.safetensors"], [("a", tensor), ("empty", empty(0, 3, dtype)), ("scalar", tensor[3, 2].clone())]);
        using var file = SafetensorsFile.Open(folder["x.safetensors"]);
        Assert.Equal(dtype, file.Read("a").dtype);
        Assert.Equal(tensor.bytes.ToArray(), file.Read("a").bytes.ToArray());
        Assert.Equal([0, 3], file.Read("empty").shape);
        Assert.Empty(file.Read("scalar").shape);
        Assert.Equal(tensor[3, 2].clone().bytes.ToArray(), file.Read("scalar").bytes.ToArray());
    }

    [Fact]
    public void The_writer_keeps_to_the_format()
    {
        SafetensorsWriter.Write(folder["x.safetensors"], [("b", ones(3)), ("a", ones(2, 2).to(ScalarType.BFloat16))]);
        var bytes = File.ReadAllBytes(folder["x.safetensors"]);
        var length = BitConverter.ToInt64(bytes);
        Assert.Equal(0, (8 + length) % 8);
        Assert.Equal(
            """{"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},"a":{"dtype":"BF16","shape":[2,2],"data_offsets":[12,20]}}""",
            System.Text.Encoding.UTF8.GetString(bytes, 8, (int)length).TrimEnd(' '));
        Assert.Equal([1f, 1f, 1f], MemoryMarshal.Cast<byte, float>(bytes.AsSpan(8 + (int)length, 12)).ToArray());
        Assert.Equal(8 + length + 20, bytes.Length);
        Assert.Equal(["x.safetensors"], Directory.EnumerateFileSystemEntries(folder.Root).Select(Path.GetFileName));
    }

    [Fact]
    public void Other_views_of_memory_are_written_in_their_own_order()
    {
        var tensor = arange(24, dtype: ScalarType.Float32).view(4, 6);
        SafetensorsWriter.Write(folder["x.safetensors"], [("t", tensor.t()), ("part", tensor.narrow(1, 2, 3))]);
        using var file = SafetensorsFile.Open(folder["x.safetensors"]);
        Assert.True(file.Read("t").eq(tensor.t()).all().item<bool>());
        Assert.True(file.Read("part").eq(tensor.narrow(1, 2, 3)).all().item<bool>());
    }

    [Theory]
    [InlineData(ScalarType.BFloat16, ScalarType.Float32)]
    [InlineData(ScalarType.Float16, ScalarType.Float32)]
    [InlineData(ScalarType.Float32, ScalarType.BFloat16)]
    public void Another_dtype_is_converted_while_reading_and_while_writing(ScalarType stored, ScalarType wanted)
    {
        manual_seed(2);
        // More than one piece of the reader and of the writer, and not a multiple of it.
        var tensor = randn(5_000_011);
        SafetensorsWriter.Write(folder["x.safetensors"], [("a", tensor), ("n", arange(3, dtype: ScalarType.Int64))], stored);
        using var file = SafetensorsFile.Open(folder["x.safetensors"]);
        Assert.Equal(stored, file.Tensors[0].Dtype);
        Assert.Equal(ScalarType.Int64, file.Tensors[1].Dtype);
        Assert.True(file.Read("a").eq(tensor.to(stored)).all().item<bool>());
        Assert.True(file.Read("a", wanted).eq(tensor.to(stored).to(wanted)).all().item<bool>());
    }

    [Fact]
    public void A_tensor_at_an_odd_offset_is_copied_not_mapped()
    {
        const string header = """{"u":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}}""";
        byte[] data = [7, .. MemoryMarshal.AsBytes<float>([1.5f, -2f])];
        using var file = SafetensorsFile.Open(folder.Write("x.safetensors", RawSafetensors.File(header, data)));
        Assert.Equal([1.5f, -2f], file.Read("a").data<float>().ToArray());
        Assert.Equal(7, file.Read("u").item<byte>());
    }

    [Fact]
    public void Writing_into_a_tensor_that_was_read_leaves_the_file_alone()
    {
        SafetensorsWriter.Write(folder["x.safetensors"], [("a", zeros(1000))]);
        var before = File.ReadAllBytes(folder["x.safetensors"]);
        using (var file = SafetensorsFile.Open(folder["x.safetensors"]))
        {
            file.Read("a").fill_(1);
            Assert.Equal(1000, file.Read("a").sum().item<float>());
            file.ForgetMaps();
            Assert.Equal(0, file.Read("a").sum().item<float>());
        }

        Assert.Equal(before, File.ReadAllBytes(folder["x.safetensors"]));
    }

    [Fact]
    public void Tensors_outlive_the_file_they_were_read_from_and_its_replacement()
    {
        SafetensorsWriter.Write(folder["x.safetensors"], [("a", ones(1000))]);
        Tensor tensor;
        using (var file = SafetensorsFile.Open(folder["x.safetensors"]))
        {
            tensor = file.Read("a");
        }

        SafetensorsWriter.Write(folder["x.safetensors"], [("a", zeros(10))]);
        Assert.Equal(1000, tensor.sum().item<float>());
    }

    [Fact]
    public void A_file_that_shrinks_after_it_was_opened_is_an_error_not_a_crash()
    {
        SafetensorsWriter.Write(folder["x.safetensors"], [("a", ones(1000))]);
        using var file = SafetensorsFile.Open(folder["x.safetensors"]);
        using (var handle = File.OpenWrite(folder["x.safetensors"]))
        {
            handle.SetLength(500);
        }

        Assert.Contains("shorter", Assert.Throws<UserException>(() => file.Read("a")).Message, StringComparison.Ordinal);
        Assert.Contains("ends at byte", Assert.Throws<UserException>(() => file.Read("a", ScalarType.BFloat16)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_tensor_of_more_than_2_GiB_is_mapped_and_reaches_its_last_byte()
    {
        // A sparse file: it takes no space on the disk and no memory but for the pages that are looked at.
        const long size = (1L << 31) + 10;
        var header = System.Text.Encoding.UTF8.GetBytes(RawSafetensors.Header("U8", $"[{size}]", 0, size));
        var path = folder.Write("x.safetensors", RawSafetensors.File(header, []));
        using (var handle = new FileStream(path, FileMode.Open, FileAccess.Write))
        {
            handle.SetLength(handle.Length + size);
            handle.Seek(-1, SeekOrigin.End);
            handle.WriteByte(42);
        }

        using var file = SafetensorsFile.Open(path);
        Assert.Equal(42, file.Read("a")[size - 1].item<byte>());
    }

    [Fact]
    public void A_disk_that_refuses_leaves_the_old_file_and_nothing_else()
    {
        SafetensorsWriter.Write(folder["x.safetensors"], [("a", ones(10))]);
        var before = File.ReadAllBytes(folder["x.safetensors"]);
        var fault = Assert.Throws<UserException>(() => SafetensorsWriter.Write(Path.Combine(folder["x.safetensors"], "y"), [("a", ones(10))]));
        Assert.Contains("cannot be written", fault.Message, StringComparison.Ordinal);
        Assert.Equal(before, File.ReadAllBytes(folder["x.safetensors"]));
    }
}
