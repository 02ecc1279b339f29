using System.IO.Compression;
using System.Text;
using CutoffLen.Common;
using CutoffLen.Data;
using ZstdSharp;
using ZstdSharp.Unsafe;

namespace CutoffLen.Tests.Data;

public sealed class DecompressedStreamTests : IDisposable
{
    private const string Lines = "{\"text\":\"one\"}\n{\"text\":\"caf\u00e9 \ud83d\ude00\"}\n";

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(".gz")]
    [InlineData(".zst")]
    [InlineData(".GZ")]
    public void A_compressed_file_holds_the_documents_of_the_plain_one(string ending)
    {
        var plain = Read(folder.Write("a.jsonl", Lines));
        Assert.Equal(plain, Read(Write("a.jsonl" + ending, Compressed(Lines, ending))));
        Assert.Equal(Read(folder.Write("a.txt", "x\r\ny")), Read(Write("a.txt" + ending, Compressed("x\r\ny", ending))));
        Assert.Equal(plain.Concat(plain.Select(piece => piece with { Line = piece.Line + 2 })), Read(Write("twice.jsonl" + ending, [.. Compressed(Lines, ending), .. Compressed(Lines, ending)])));

        // Larger than every buffer, in a folder and by a glob.
        var many = string.Concat(Enumerable.Range(0, 60_000).Select(n => $"{{\"text\":\"line {n}\"}}\n"));
        Write("sub/many.jsonl" + ending, Compressed(many, ending));
        Assert.Equal(60_000, Read(folder["sub"]).Count);
        Assert.Equal("line 59999", Read(folder["sub/*" + ending])[^1].Text);
    }

    [Theory]
    [InlineData(".gz")]
    [InlineData(".zst")]
    public void Damage_is_an_error_that_names_the_file(string ending)
    {
        var whole = Compressed(string.Concat(Enumerable.Range(0, 3000).Select(n => $"{{\"text\":\"line {n * n}\"}}\n")), ending);
        foreach (var damaged in new[] { whole[..(whole.Length / 2)], whole[..^3], whole[..1], [], [.. whole[..500], 77, 77, 77, .. whole[503..]], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] })
        {
            var path = Write("bad.jsonl" + ending, damaged);
            var fault = Record.Exception(() => Read(path));
            Assert.True(fault is UserException && fault.Message.Contains(path, StringComparison.Ordinal), $"{damaged.Length} of {whole.Length} bytes: {fault}");
        }

        var latin = Write("latin.jsonl" + ending, Compressed([.. "{\"text\":\"a\"}\n{\"text\":\""u8, 0xE9, .. "\"}"u8], ending));
        Assert.Contains("latin.jsonl" + ending + " line 2: not UTF-8: byte 0xE9 at offset 22", Assert.Throws<UserException>(() => Read(latin)).Message);
    }

    private static List<TextPiece> Read(string path) => [.. Documents.Read(DataFiles.Find([path]))];

    private string Write(string name, byte[] bytes)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(folder[name])!);
        File.WriteAllBytes(folder[name], bytes);
        return folder[name];
    }

    private static byte[] Compressed(string text, string ending) => Compressed(Encoding.UTF8.GetBytes(text), ending);

    private static byte[] Compressed(byte[] bytes, string ending)
    {
        using var output = new MemoryStream();
        using (Stream stream = ending == ".zst" ? Checked(output) : new GZipStream(output, CompressionLevel.Fastest))
        {
            stream.Write(bytes);
        }

        return output.ToArray();
    }

    /// <summary>With a checksum, as the program zstd writes them.</summary>
    private static CompressionStream Checked(Stream output)
    {
        var stream = new CompressionStream(output);
        stream.SetParameter(ZSTD_cParameter.ZSTD_c_checksumFlag, 1);
        return stream;
    }
}
