using System.Text;
using CutoffLen.Common;
using CutoffLen.Data;
using FsCheck;
using FsCheck.Fluent;

namespace CutoffLen.Tests.Data;

public sealed class DocumentsTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void A_txt_file_is_one_document()
    {
        var piece = Assert.Single(Read("a.txt", "one\n\ntwo\n"));
        Assert.Equal(new TextPiece(0, 1, "one\n\ntwo\n", Begins: true, Ends: true), piece);
    }

    [Fact]
    public void Every_line_of_a_jsonl_file_is_a_document()
    {
        var pieces = Read("a.jsonl", "{\"text\":\"one\"}\r\n\n  \t\r\n{\"id\":[{\"text\":\"no\"}],\"text\":\"\\u00e9\\r\\n\\ud83d\\ude00\"}");
        Assert.Equal([new(0, 1, "one", true, true), new(0, 4, "é\r\n😀", true, true)], pieces);
    }

    [Fact]
    public void A_byte_order_mark_is_not_text()
    {
        Assert.Equal("one", Read("a.txt", "\uFEFFone").Single().Text);
        Assert.Equal("one", Read("a.jsonl", "\uFEFF{\"text\":\"one\"}").Single().Text);
        Assert.Equal("o\uFEFFne", Read("a.txt", "o\uFEFFne").Single().Text);
    }

    [Fact]
    public void Files_come_in_order_and_empty_ones_as_empty_documents()
    {
        DataFile[] files =
        [
            new(folder.Write("b.txt", "b"), DataFormat.Text),
            new(folder.Write("empty.txt", ""), DataFormat.Text),
            new(folder.Write("empty.jsonl", ""), DataFormat.JsonLines),
            new(folder.Write("a.txt", "a"), DataFormat.Text),
        ];
        Assert.Equal([(0, "b"), (1, ""), (3, "a")], Documents.Read(files).Select(piece => (piece.File, piece.Text)));
    }

    [Fact]
    public void Windows_line_ends_become_line_feeds_wherever_blocks_are_cut()
    {
        var text = Gen.Elements("\r", "\n", "\r\n", "a", "é", "😀", new string('x', 700)).ListOf().Select(string.Concat);
        Prop.ForAll(Gen.Zip(text, Gen.Choose(0, 3)).ToArbitrary(), drawn =>
        {
            // The filler moves the drawn text across the borders of the reader's blocks.
            var whole = new string('y', 65_530 + drawn.Item2) + drawn.Item1 + new string('z', 70_000) + drawn.Item1;
            return Joined("a.txt", whole) == whole.Replace("\r\n", "\n");
        }).QuickCheckThrowOnFailure();
    }

    [Theory]
    [InlineData("a.txt")]
    [InlineData("a.jsonl")]
    public void Long_documents_come_in_pieces_that_begin_a_line(string name)
    {
        var random = new KeyedRandom(1, "text");
        var text = new StringBuilder();
        while (text.Length < 5_000_000)
        {
            text.Append('w', random.Between(1, 200)).Append(random.Below(3) == 0 ? "\n\n  " : "\n").Append(text.Length);
        }

        var content = name == "a.txt" ? text.ToString() : System.Text.Json.JsonSerializer.Serialize(new { text = text.ToString() });
        var pieces = Read(name, content);

        Assert.Equal(text.ToString(), string.Concat(pieces.Select(piece => piece.Text)));
        Assert.InRange(pieces.Count, 3, 5);
        Assert.All(pieces, piece => Assert.InRange(piece.Text.Length, 1, 2 * TextPiece.LongPiece + 70_000));
        Assert.All(pieces.Skip(1), piece => Assert.True(char.IsLetterOrDigit(piece.Text[0])));
        Assert.All(pieces.SkipLast(1), piece => Assert.EndsWith("\n", piece.Text));
        Assert.Equal(pieces.Select((_, i) => (i == 0, i == pieces.Count - 1)), pieces.Select(piece => (piece.Begins, piece.Ends)));
    }

    [Theory]
    [InlineData("a.txt")]
    [InlineData("a.jsonl")]
    public void Text_without_line_ends_stays_whole(string name)
    {
        var text = new string('x', 5_000_000);
        Assert.Equal(text, Read(name, name == "a.txt" ? text : $"{{\"text\":\"{text}\"}}").Single().Text);
    }

    [Theory]
    [InlineData("{\"text\":\"a\"}\n{\"text\":", "line 2, byte 9: not JSON")]
    [InlineData("\n\nnonsense", "line 3, byte 2: not JSON")]
    [InlineData("{\"text\":\"a\"} x", "line 1, byte 14: not JSON")]
    [InlineData("{\"text\":\"a\"}{\"text\":\"b\"}", "line 1, byte 13: not JSON")]
    [InlineData("{\"content\":\"a\"}", "line 1: the object has no field 'text'")]
    [InlineData("{\"text\":\"a\",\"text\":\"b\"}", "line 1: the field 'text' is given twice")]
    [InlineData("{\"text\":7}", "line 1: the field 'text' is a JSON number")]
    [InlineData("{\"text\":null}", "line 1: the field 'text' is a JSON null")]
    [InlineData("{\"text\":[\"a\"]}", "line 1: the field 'text' is a JSON array")]
    [InlineData("{\"prompt\":\"a\"}", "line 1: the object has a 'prompt' without a 'completion'")]
    [InlineData("{\"completion\":\"a\"}", "line 1: the object has a 'completion' without a 'prompt'")]
    [InlineData("{\"prompt\":[{\"role\":\"user\"}],\"completion\":\"a\"}", "line 1: the field 'prompt' is a JSON array")]
    [InlineData("{\"text\":\"a\",\"prompt\":\"a\",\"completion\":\"b\"}", "line 1: the object has a 'text' beside")]
    [InlineData("[1]", "line 1: the line is a JSON array")]
    [InlineData("\"text\"", "line 1: the line is a JSON string")]
    [InlineData("{\"text\":\"\\ud800\"}", "line 1: ")]
    public void A_broken_line_is_named(string content, string expected)
    {
        var message = Assert.Throws<UserException>(() => Read("a.jsonl", content)).Message;
        Assert.StartsWith(folder["a.jsonl"] + " " + expected, message);
        Assert.DoesNotContain('\n', message);
    }

    [Fact]
    public void Deep_JSON_is_an_error_not_a_crash() => Assert.Contains(
        "line 1", Assert.Throws<UserException>(() => Read("a.jsonl", "{\"x\":" + new string('[', 100_000))).Message);

    [Theory]
    [InlineData("a.txt")]
    [InlineData("a.jsonl")]
    public void Text_that_is_not_UTF8_is_named_by_line_and_offset(string name)
    {
        byte[] good = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("{\"text\":\"é\"}\n", 200_000)));
        byte[] bytes = [.. good, .. "{\"text\":\"caf"u8, 0xE9, .. "\"}\n"u8];
        var path = folder.Write(name, bytes);
        var message = Assert.Throws<UserException>(() => Documents.Read(DataFiles.Find([path])).Count()).Message;
        Assert.Equal($"{path} line 200001: not UTF-8: byte 0xE9 at offset {good.Length + 12}; convert the file to UTF-8", message);
    }

    [Fact]
    public void A_character_cut_off_at_the_end_is_an_error()
    {
        var path = folder.Write("a.txt", [.. "ab"u8, 0xE2, 0x82]);
        Assert.Contains("byte 0xE2 at offset 2", Assert.Throws<UserException>(() => Documents.Read(DataFiles.Find([path])).Count()).Message);
    }

    [Fact]
    public void UTF16_is_recognised()
    {
        var path = folder.Write("a.txt", [.. Encoding.Unicode.Preamble, .. Encoding.Unicode.GetBytes("one")]);
        Assert.Contains("UTF-16", Assert.Throws<UserException>(() => Documents.Read(DataFiles.Find([path])).Count()).Message);
    }

    [Fact]
    public void A_file_that_vanished_is_the_users_error() => Assert.Contains(
        "gone.txt: cannot be read",
        Assert.Throws<UserException>(() => Documents.Read([new(folder["gone.txt"], DataFormat.Text)]).Count()).Message);

    [Theory]
    [InlineData("big.txt", "a line of text that goes on for a while\n")]
    [InlineData("big.jsonl", "{\"text\":\"a line of text that goes on for a while\"}\n")]
    public void Memory_does_not_grow_with_the_file(string name, string line)
    {
        var path = folder.Write(name, string.Concat(Enumerable.Repeat(line, 40_000_000 / line.Length)));
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var (most, seen) = (0L, 0L);
        foreach (var piece in Documents.Read(DataFiles.Find([path])))
        {
            seen += piece.Text.Length;
            if (seen / 4_000_000 != (seen - piece.Text.Length) / 4_000_000)
            {
                most = Math.Max(most, GC.GetTotalMemory(forceFullCollection: true) - before);
            }
        }

        Assert.True(seen > 25_000_000);
        Assert.InRange(most, 0, 20_000_000);
    }

    private List<TextPiece> Read(string name, string content) => [.. Documents.Read(DataFiles.Find([folder.Write(name, content)]))];

    private string Joined(string name, string content) => string.Concat(Read(name, content).Select(piece => piece.Text));
}
