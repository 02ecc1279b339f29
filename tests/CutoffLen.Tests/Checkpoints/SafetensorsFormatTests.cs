using System.Diagnostics;
using System.Globalization;
using System.Text;
using CutoffLen.Checkpoints.Safetensors;
using CutoffLen.Common;
using CutoffLen.Files;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Checkpoints;

public sealed class SafetensorsFormatTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void A_file_by_the_format_is_read()
    {
        const string header = """
            {"__metadata__":{"format":"pt"},"b":{"dtype":"I64","shape":[],"data_offsets":[8,16]},
            "a":{"dtype":"BF16","shape":[2,2],"data_offsets":[0,8]},"none":{"dtype":"F32","shape":[3,0],"data_offsets":[16,16]}}
            """;
        using var file = SafetensorsFile.Open(folder.Write("x.safetensors", RawSafetensors.File(header, new byte[16])));
        Assert.Equal(["a", "b", "none"], file.Tensors.Select(tensor => tensor.Name));
        Assert.Equal([ScalarType.BFloat16, ScalarType.Int64, ScalarType.Float32], file.Tensors.Select(tensor => tensor.Dtype));
        Assert.Equal([2, 2], file.Tensors[0].Shape);
        Assert.Empty(file.Tensors[1].Shape);
        Assert.Equal("pt", file.Metadata["format"]);
    }

    [Theory]
    [InlineData("[]", "does not begin with '{'")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}""", "not valid JSON")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}} {}""", "not valid JSON")]
    [InlineData("""{"a":[]}""", "'a': must be an object")]
    [InlineData("""{"a":{"shape":[1],"data_offsets":[0,4]}}""", "needs dtype")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1}}""", "'more'")]
    [InlineData("""{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", "given twice")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", "'a' twice")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}""", "shape must be a list")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}""", "shape must be a list")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}}""", "at most 8")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}""", "data_offsets [begin, end]")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}""", "outside")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", "outside the 4 bytes")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[9223372036854775800,9223372036854775804]}}""", "outside")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551615]}}""", "whole numbers")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4294967296,4294967297],"data_offsets":[0,4]}}""", "too large")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}""", "takes 8 bytes")]
    [InlineData("""{"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}""", "'F8_E4M3' is not supported; supported are BF16")]
    [InlineData("""{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}""", "1 bytes after the last tensor")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}""", "gap of 1 bytes")]
    [InlineData("""{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}""", "overlaps the tensor before it by 1")]
    [InlineData("""{"__metadata__":{"a":1}}""", "__metadata__")]
    [InlineData("""{"\u001b[31m":[]}""", @"'\u001B[31m'")]
    [InlineData("""{"\ud800":[]}""", "not valid JSON")]
    [InlineData("""{"a":{"dtype":{"dtype":{"dtype":{}}}}}""", "'a'")]
    public void A_damaged_header_is_named(string header, string fault)
    {
        var path = folder.Write("x.safetensors", RawSafetensors.File(header, new byte[4]));
        var message = Assert.Throws<UserException>(() => SafetensorsFile.Open(path)).Message;
        Assert.StartsWith(path, message, StringComparison.Ordinal);
        Assert.Contains(fault, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(new byte[] { }, "too few")]
    [InlineData(new byte[] { 1, 0, 0, 0, 0, 0, 0 }, "too few")]
    [InlineData(new byte[] { 255, 255, 255, 255, 255, 255, 255, 255, 0 }, "18446744073709551615")]
    [InlineData(new byte[] { 0, 0, 0, 0, 0, 0, 0, 0 }, "does not begin with '{'")]
    [InlineData(new byte[] { 3, 0, 0, 0, 0, 0, 0, 0, (byte)'{', (byte)'"', 0xFF }, "not UTF-8")]
    public void A_damaged_beginning_is_named(byte[] bytes, string fault)
    {
        var path = folder.Write("x.safetensors", bytes);
        Assert.Contains(fault, Assert.Throws<UserException>(() => SafetensorsFile.Open(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_Git_LFS_pointer_is_told_apart()
    {
        var path = folder.Write("x.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n");
        Assert.Contains("git lfs pull", Assert.Throws<UserException>(() => SafetensorsFile.Open(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Deep_nesting_is_refused_not_followed()
    {
        var header = """{"a":""" + new string('[', 100_000);
        var path = folder.Write("x.safetensors", RawSafetensors.File(header, []));
        Assert.Contains("must be an object", Assert.Throws<UserException>(() => SafetensorsFile.Open(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void More_tensors_than_any_model_has_are_refused()
    {
        var header = new StringBuilder("{");
        for (var i = 0; i <= 100_000; i++)
        {
            header.Append(i == 0 ? "" : ",").Append(CultureInfo.InvariantCulture, $$"""
                "{{i}}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}
                """);
        }

        var path = folder.Write("x.safetensors", RawSafetensors.File(header.Append('}').ToString(), []));
        Assert.Contains("more than 100000 tensors", Assert.Throws<UserException>(() => SafetensorsFile.Open(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_named_pipe_is_refused_not_waited_for()
    {
        Process.Start("mkfifo", [folder["x.safetensors"], folder["config.json"]]).WaitForExit();
        var reading = Task.Run(() => (Record.Exception(() => SafetensorsFile.Open(folder["x.safetensors"])), Record.Exception(() => JsonFile.ReadObject(folder["config.json"]))));
        var (weights, config) = await reading.WaitAsync(TimeSpan.FromMinutes(1));
        Assert.Contains("0 bytes are too few", Assert.IsType<UserException>(weights).Message, StringComparison.Ordinal);
        Assert.Contains("is empty", Assert.IsType<UserException>(config).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_file_and_a_missing_tensor_are_named()
    {
        Assert.Contains("x.safetensors", Assert.Throws<UserException>(() => SafetensorsFile.Open(folder["x.safetensors"])).Message, StringComparison.Ordinal);
        using var file = SafetensorsFile.Open(folder.Write("y.safetensors", RawSafetensors.File(RawSafetensors.Header("F32", "[1]", 0, 4), new byte[4])));
        Assert.Contains("no tensor 'b'", Assert.Throws<UserException>(() => file.Read("b")).Message, StringComparison.Ordinal);
    }
}
