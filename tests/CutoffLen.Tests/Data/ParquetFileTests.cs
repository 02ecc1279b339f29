using CutoffLen.Common;
using CutoffLen.Data;
using CutoffLen.Tokenization;
using ParquetSharp;

namespace CutoffLen.Tests.Data;

/// <summary>Files as Arrow's writer makes them, with which pyarrow and the datasets on the hub are written.</summary>
public sealed class ParquetFileTests : IDisposable
{
    private static readonly string[] Texts = [.. Enumerable.Range(0, 500).Select(n => n % 7 == 0 ? "" : $"{n}: caf\u00E9 \u9CB8 \U0001F600\r\n{new string('x', n)}")];

    // Two row groups with dictionaries, written by Parquet.Net 6.1.0.
    private static readonly string[] OfParquetNet = ["caf\u00E9 \u9CB8 \U0001F600", "the same", "the same", "caf\u00E9 \u9CB8 \U0001F600", "the same", "the same"];

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(Compression.Uncompressed, true, ParquetDataPageVersion.V1)]
    [InlineData(Compression.Snappy, true, ParquetDataPageVersion.V1)]
    [InlineData(Compression.Snappy, false, ParquetDataPageVersion.V2)]
    [InlineData(Compression.Gzip, false, ParquetDataPageVersion.V1)]
    [InlineData(Compression.Zstd, true, ParquetDataPageVersion.V2)]
    [InlineData(Compression.Lz4, false, ParquetDataPageVersion.V2)]
    [InlineData(Compression.Brotli, true, ParquetDataPageVersion.V1)]
    public void Every_row_is_a_document_whatever_the_encoding(Compression compression, bool hasDictionary, ParquetDataPageVersion version)
    {
        var path = Write("a.parquet", properties =>
        {
            properties.Compression(compression).DataPageVersion(version).DataPagesize(1000);
            return hasDictionary ? properties : properties.DisableDictionary();
        });
        Assert.Equal(Texts.Select((text, n) => (n + 1, text)), Read(path).Select(piece => (piece.Line, piece.Text)));
        Assert.All(Read(path), piece => Assert.True(piece is { Begins: true, Ends: true }));
    }

    [Theory]
    [InlineData("snappy")]
    [InlineData("zstd")]
    public void Files_of_another_writer_are_read_too(string compression) =>
        Assert.Equal(OfParquetNet, Read(Golden.Path($"parquet/parquet-net-{compression}.parquet")).Select(piece => piece.Text));

    [Fact]
    public void A_long_text_comes_in_pieces_and_a_file_without_rows_has_none()
    {
        var text = string.Concat(Enumerable.Range(0, 400_000).Select(n => $"line {n}\n"));
        var pieces = Read(Write("long.parquet", ["short", text]));
        Assert.True(pieces.Count > 2);
        Assert.Equal(text, string.Concat(pieces.Skip(1).Select(piece => piece.Text)));
        Assert.All(pieces.Skip(1), piece => Assert.Equal(2, piece.Line));
        Assert.Empty(Read(Write("empty.parquet", [])));
    }

    [Fact]
    public void The_column_is_named_and_its_faults_too()
    {
        using (var writer = new ParquetFileWriter(folder["a.parquet"], [
            new Column<int>("id"), new Column<string>("content"), new Column<string?>("maybe"), new Column<string[]>("list"), new Column<byte[]>("bytes")]))
        {
            using var group = writer.AppendRowGroup();
            Column(group, 1, 2);
            Column(group, "one", "two");
            Column(group, "one", null);
            Column<string[]>(group, ["a"], ["b"]);
            Column<byte[]>(group, [0xE9], [0x61]);
            writer.Close();
        }

        Assert.Equal(["one", "two"], Read(folder["a.parquet"], "content").Select(piece => piece.Text));
        var path = folder["a.parquet"];
        Assert.Equal(
            $"{path}: has no column 'text'; its columns are id, content, maybe, list, bytes; dataset_text_field names the one with the text", Refused("text"));
        Assert.StartsWith($"{path}: has no column 'contents' (did you mean content?)", Refused("contents"));
        Assert.Equal($"{path}: the column 'id' is of type Int32, Int; allowed is a column of strings", Refused("id"));
        Assert.Equal($"{path}: the column 'bytes' is of type ByteArray, None; allowed is a column of strings", Refused("bytes"));
        Assert.Equal($"{path}: the column 'list' is nested (list.list.item); allowed is a column of strings", Refused("list"));
        Assert.Equal($"{path} row 2: the column 'maybe' is null; leave such rows out, or make them empty texts", Refused("maybe"));

        string Refused(string field) => Assert.Throws<UserException>(() => Read(path, field)).Message;
    }

    [Fact]
    public void Damage_is_an_error_that_names_the_file()
    {
        var whole = File.ReadAllBytes(Write("whole.parquet", properties => properties.EnablePageChecksum()));
        var swapped = (byte[])whole.Clone();
        swapped[whole.AsSpan().IndexOf("xxxx"u8)] = 0xFF;
        foreach (var damaged in new[] { whole[..(whole.Length / 2)], whole[..^1], [], "PAR1PAR1"u8.ToArray(), "{\"text\":\"a\"}"u8.ToArray(), swapped })
        {
            var message = Assert.Throws<UserException>(() => Read(folder.Write("bad.parquet", damaged))).Message;
            Assert.StartsWith(folder["bad.parquet"] + ": cannot be read as Parquet: ", message);
            Assert.DoesNotContain("ParquetException", message);
        }

        // Without checksums, bytes that are not UTF-8 are found where they are read.
        var latin = File.ReadAllBytes(Write("latin.parquet", ["one", "caf_"], properties => properties.Compression(Compression.Uncompressed).DisableStatistics()));
        latin[latin.AsSpan().IndexOf("caf_"u8) + 3] = 0xE9;
        Assert.StartsWith($"{folder["bad.parquet"]} row 2: the column 'text' is not UTF-8: ", Assert.Throws<UserException>(() => Read(folder.Write("bad.parquet", latin))).Message);
        Assert.StartsWith(folder["gone.parquet"], Assert.Throws<UserException>(() => Read(new DataFile(folder["gone.parquet"], DataFormat.Parquet))).Message);
    }

    [Fact]
    public void The_field_is_part_of_the_caches_key_and_documents_are_named_by_row()
    {
        folder.Write("a.jsonl", "{\"text\":\"one\",\"title\":\"I\"}\n");
        folder.Write("b.txt", "three");
        Write("c.parquet", ["two"]);
        Assert.Equal(["one", "three", "two"], Texts("text"));
        Assert.Equal(2, Texts("title", "a.jsonl", "b.txt").Count);
        Assert.Equal(["I", "three"], Texts("title", "a.jsonl", "b.txt"));
        Assert.Equal(["one", "three"], Texts("text", "a.jsonl", "b.txt"));
        Assert.Contains("a.jsonl line 1: the object has no field 'name'; dataset_text_field names", Assert.Throws<UserException>(() => Texts("name")).Message);
        using var documents = TokenizedDocuments.Open([folder["c.parquet"]], new CharacterEncoder(), SpecialTokens.None, folder["cache"]);
        Assert.Equal($"{folder["c.parquet"]} row 1", documents.Describe(0));

        List<string> Texts(string field, params string[] names)
        {
            var paths = names.Length > 0 ? names.Select(name => folder[name]) : [folder["a.jsonl"], folder["b.txt"], folder["c.parquet"]];
            using var documents = TokenizedDocuments.Open(paths, new CharacterEncoder(), SpecialTokens.None, folder["cache"], field);
            return [.. Enumerable.Range(0, documents.Count).Select(d => new string([.. documents.Read(d).Select(id => (char)id)]))];
        }
    }

    private static List<TextPiece> Read(string path, string field = "text") => Read(new DataFile(path, DataFormat.Parquet, TextField: field));

    private static List<TextPiece> Read(DataFile file) => [.. Documents.Read([file])];

    private string Write(string name, Func<WriterPropertiesBuilder, WriterPropertiesBuilder> set) => Write(name, Texts, set);

    /// <summary>Two columns, the second the text, in row groups of 200.</summary>
    private string Write(string name, string[] texts, Func<WriterPropertiesBuilder, WriterPropertiesBuilder>? set = null)
    {
        using var builder = new WriterPropertiesBuilder();
        using var properties = (set?.Invoke(builder) ?? builder).Build();
        using var writer = new ParquetFileWriter(folder[name], [new Column<int>("id"), new Column<string>("text")], properties);
        foreach (var rows in texts.Chunk(200))
        {
            using var group = writer.AppendRowGroup();
            Column(group, [.. Enumerable.Range(0, rows.Length)]);
            Column(group, rows);
        }

        writer.Close();
        return folder[name];
    }

    private static void Column<T>(RowGroupWriter group, params T[] values)
    {
        using var column = group.NextColumn().LogicalWriter<T>();
        column.WriteBatch(values);
    }
}
