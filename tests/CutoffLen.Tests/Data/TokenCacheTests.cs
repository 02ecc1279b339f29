using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Text;
using System.Text.RegularExpressions;
using CutoffLen.Common;
using CutoffLen.Data;
using CutoffLen.Files;
using CutoffLen.Tokenization;

namespace CutoffLen.Tests.Data;

public sealed class TokenCacheTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    private string CacheFolder => folder["cache"];

    [Theory]
    [InlineData(65_536)]
    [InlineData(65_537)]
    public void Tokens_read_back_as_the_tokenizer_gave_them(int vocabularySize)
    {
        var files = Write(("a.txt", "hello \uFFFF world"), ("b.jsonl", "{\"text\":\"one\"}\n{\"text\":\" \\n\"}\n{\"text\":\"three\"}"), ("c.txt", ""));
        using var cache = Open(files, new CharacterEncoder(vocabularySize));

        Assert.Equal((3, 21L, 2L), (cache.Documents, cache.Tokens, cache.EmptyDocuments));
        Assert.Equal(["hello \uFFFF world", "one", "three"], Texts(cache));
        Assert.Equal([0L, 13L, 16L], Enumerable.Range(0, 3).Select(cache.Start));
        Assert.Equal([files[0].Path, $"{files[1].Path} line 1", $"{files[1].Path} line 3"], Enumerable.Range(0, 3).Select(cache.Describe));
        Assert.Equal(vocabularySize > 65_536, new FileInfo(CacheFile()).Length > 128 + 48 + (4 * CachedDocument.Size));
    }

    [Fact]
    public void Any_stretch_of_a_document_can_be_read_and_nothing_outside()
    {
        using var cache = Open(Write(("a.txt", "abc"), ("b.txt", "defgh")), new CharacterEncoder());
        var tokens = new int[3];
        cache.Read(1, 2, tokens);
        Assert.Equal("fgh", string.Concat(tokens.Select(id => (char)id)));
        Assert.Throws<ArgumentOutOfRangeException>(() => cache.Read(0, 1, tokens));
        Assert.Throws<ArgumentOutOfRangeException>(() => cache.Read(1, 3, tokens));
        Assert.Throws<ArgumentOutOfRangeException>(() => cache.Read(1, -1, tokens));
        Assert.Throws<ArgumentOutOfRangeException>(() => cache.Read(2, 0, tokens));
        Assert.Throws<ArgumentOutOfRangeException>(() => cache.Read(-1, 0, tokens));
    }

    [Fact]
    public void A_closed_cache_refuses_to_be_read()
    {
        var cache = Open(Write(("a.txt", "abc")), new CharacterEncoder());
        cache.Dispose();
        cache.Dispose();
        Assert.Throws<ObjectDisposedException>(() => Read(cache, 0));
    }

    [Fact]
    public void A_second_run_tokenizes_nothing_even_when_files_have_moved()
    {
        Open(Write(("a.txt", "one"), ("b.txt", "two")), new CharacterEncoder()).Dispose();
        var second = new CharacterEncoder();
        using var cache = Open(Write(("moved/x.txt", "one"), ("moved/y.txt", "two")), second);
        Assert.Equal(0, second.Calls);
        Assert.Equal(["one", "two"], Texts(cache));
        Assert.Equal(folder["moved/y.txt"], cache.Describe(1));
    }

    [Fact]
    public void Contents_order_format_and_tokenizer_each_make_another_cache()
    {
        var one = Write(("a.txt", "{\"text\":\"one\"}"), ("b.txt", "two"));
        IReadOnlyList<DataFile>[] all = [one, [one[1], one[0]], Write(("c.jsonl", "{\"text\":\"one\"}"), ("b.txt", "two")), Write(("d.txt", "One"))];
        foreach (var files in all)
        {
            Open(files, new CharacterEncoder()).Dispose();
        }

        Open(one, new CharacterEncoder(fingerprint: "others")).Dispose();
        Open(one, new CharacterEncoder(vocabularySize: 70_000)).Dispose();
        Assert.Equal(6, Directory.GetFiles(CacheFolder, "*.tokens").Length);
    }

    [Fact]
    public void A_damaged_cache_is_noticed_wherever_the_damage_is_and_made_anew()
    {
        var files = Write(("a.txt", "some text"), ("b.txt", "more"));
        Open(files, new CharacterEncoder()).Dispose();
        var whole = File.ReadAllBytes(CacheFile());
        List<byte[]> damaged = [[], whole[..100], whole[..^1], [.. whole, 0], new byte[whole.Length]];
        for (var at = 0; at < whole.Length; at++)
        {
            damaged.Add([.. whole]);
            damaged[^1][at] ^= 0x10;
        }

        foreach (var bytes in damaged)
        {
            File.WriteAllBytes(CacheFile(), bytes);
            var said = new List<string>();
            using var cache = new TokenCacheFolder(CacheFolder).Open(files, new CharacterEncoder(), said.Add);
            Assert.Contains("damaged", Assert.Single(said));
            Assert.Equal(["some text", "more"], Texts(cache));
        }

        Assert.Equal(whole, File.ReadAllBytes(CacheFile()));
    }

    [Theory]
    [InlineData(12, 3)] // bytes of a token
    [InlineData(20, 0x10000000)] // upper half of the number of documents
    [InlineData(28, 0x20000000)] // of the number of tokens: times 4 bytes it overflows
    [InlineData(TokenCacheHeader.Size + 32 + CachedDocument.Size, 1000)] // where the second document starts
    [InlineData(TokenCacheHeader.Size + 32 + CachedDocument.Size + 4, -1)]
    [InlineData(TokenCacheHeader.Size + 32 + CachedDocument.Size + 8, 2)] // its file
    public void A_cache_whose_checksums_fit_false_counts_is_made_anew(int at, int value)
    {
        var files = Write(("a.txt", "some text"), ("b.txt", "more"));
        Open(files, new CharacterEncoder()).Dispose();
        var bytes = File.ReadAllBytes(CacheFile());
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(at), value);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(72), Crc32C.Of(bytes.AsSpan(TokenCacheHeader.Size)));
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(TokenCacheHeader.Size - 4), Crc32C.Of(bytes.AsSpan(0, TokenCacheHeader.Size - 4)));
        File.WriteAllBytes(CacheFile(), bytes);
        using var cache = Open(files, new CharacterEncoder());
        Assert.Equal(["some text", "more"], Texts(cache));
    }

    [Fact]
    public void A_tokenizer_that_fails_leaves_nothing_behind_and_the_next_run_succeeds()
    {
        var files = Write(("a.txt", "one"), ("b.txt", "two"));
        var broken = new CharacterEncoder { Before = text => _ = text == "two" ? throw new InvalidDataException("no two") : 0 };
        Assert.Equal("no two", Assert.Throws<InvalidDataException>(() => Open(files, broken)).Message);
        Assert.Equal([".lock"], Directory.GetFiles(CacheFolder).Select(Path.GetExtension));
        File.WriteAllText(AtomicFile.TemporaryName(CacheFile()), "what a killed run leaves");
        Open(files, new CharacterEncoder()).Dispose();
        Assert.Equal([".lock", ".tokens"], Directory.GetFiles(CacheFolder).Select(Path.GetExtension).Order());
    }

    [Fact]
    public void A_stopped_run_leaves_nothing_behind()
    {
        using var stop = new CancellationTokenSource();
        var encoder = new CharacterEncoder { Before = text => { if (text != "\n") { stop.Cancel(); } } };
        var files = Write([.. Enumerable.Range(0, 50).Select(i => ($"{i}.txt", $"text {i}"))]);
        Assert.ThrowsAny<OperationCanceledException>(() => new TokenCacheFolder(CacheFolder).Open(files, encoder, stop: stop.Token));
        Assert.Equal([".lock"], Directory.GetFiles(CacheFolder).Select(Path.GetExtension));
    }

    [Fact]
    public async Task Runs_at_the_same_time_tokenize_once()
    {
        var files = Write(("a.txt", "one"));
        using var inside = new ManualResetEventSlim();
        using var go = new ManualResetEventSlim();
        var first = new CharacterEncoder { Before = _ => { inside.Set(); go.Wait(); } };
        var second = new CharacterEncoder();
        var said = new ConcurrentQueue<string>();

        var one = Task.Run(() => Open(files, first).Dispose());
        inside.Wait();
        var two = Task.Run(() => new TokenCacheFolder(CacheFolder).Open(files, second, said.Enqueue).Dispose());
        while (said.IsEmpty)
        {
            await Task.Delay(5);
        }

        Assert.False(two.IsCompleted);
        go.Set();
        await Task.WhenAll(one, two);
        Assert.Equal(0, second.Calls);
        Assert.Contains("waiting", Assert.Single(said));
    }

    [Fact]
    public void A_file_that_changes_while_it_is_read_is_an_error()
    {
        var files = Write(("a.txt", "one"));
        var encoder = new CharacterEncoder { Before = _ => File.AppendAllText(files[0].Path, "more") };
        Assert.Contains("changed while it was read", Assert.Throws<UserException>(() => Open(files, encoder)).Message);
    }

    [Fact]
    public void A_folder_that_cannot_be_written_is_named_with_the_way_out()
    {
        var files = Write(("a.txt", "one"));
        var message = Assert.Throws<UserException>(
            () => new TokenCacheFolder(Path.Combine(files[0].Path, "cache")).Open(files, new CharacterEncoder())).Message;
        Assert.Contains("--cache-dir", message);
        Assert.Contains(files[0].Path, message);
    }

    [Fact]
    public void A_cache_file_that_cannot_be_made_leaves_nothing_behind()
    {
        var files = Write(("a.txt", "one"));
        Open(files, new CharacterEncoder()).Dispose();
        File.Delete(CacheFile());
        Directory.CreateDirectory(AtomicFile.TemporaryName(CacheFile()));
        Assert.Contains("--cache-dir", Assert.Throws<UserException>(() => Open(files, new CharacterEncoder())).Message);
        Directory.Delete(AtomicFile.TemporaryName(CacheFile()));
        Assert.Equal([".lock"], Directory.GetFiles(CacheFolder).Select(Path.GetExtension));
    }

    [Fact]
    public void Files_without_text_are_an_error() => Assert.Contains(
        "no text", Assert.Throws<UserException>(() => Open(Write(("a.txt", " \n"), ("b.jsonl", "{\"text\":\"\"}")), new CharacterEncoder())).Message);

    [Fact]
    public void An_id_outside_the_vocabulary_is_a_fault_of_the_tokenizer_and_stops() => Assert.Throws<InvalidOperationException>(
        () => Open(Write(("a.txt", "a")), new CharacterEncoder(vocabularySize: 50)));

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void A_long_document_gets_the_tokens_it_would_get_in_one_piece(bool spaceInFront, bool joinsLines)
    {
        var text = string.Concat(Enumerable.Range(0, 300_000).Select(i => $"line {i}\n"));
        var encoder = new CharacterEncoder(spaceInFront: spaceInFront, joinsLines: joinsLines);
        var longest = 0;
        using var cache = Open(Write(("a.txt", text)), new CharacterEncoder(spaceInFront: spaceInFront, joinsLines: joinsLines)
        {
            Before = piece => longest = Math.Max(longest, piece.Length),
        });
        Assert.Equal(encoder.Encode(text), Read(cache, 0));
        Assert.InRange(longest, 1, joinsLines ? text.Length : text.Length * 3 / 4);
    }

    [Fact]
    public void Many_documents_keep_their_order_over_all_threads()
    {
        var lines = Enumerable.Range(0, 30_000).Select(i => $"{{\"text\":\"document {i}\"}}");
        using var cache = Open(Write(("a.jsonl", string.Join('\n', lines))), new CharacterEncoder());
        Assert.Equal(30_000, cache.Documents);
        for (var d = 0; d < cache.Documents; d += 997)
        {
            Assert.Equal($"document {d}", new string([.. Read(cache, d).Select(id => (char)id)]));
        }
    }

    [Fact]
    public void Progress_reaches_the_end()
    {
        var reports = new List<TokenizingProgress>();
        new TokenCacheFolder(CacheFolder).Open(Write(("a.txt", "abcde"), ("b.txt", "fg")), new CharacterEncoder(), progress: new Collect(reports)).Dispose();
        Assert.Equal(new TokenizingProgress(7, 7, 7), reports[^1]);
    }

    [Theory]
    [InlineData("/tmp/somewhere", "/tmp/somewhere/cutoff/tokens")]
    [InlineData("relative", null)]
    [InlineData("", null)]
    public void The_default_folder_follows_XDG(string xdg, string? expected)
    {
        var before = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
        try
        {
            Environment.SetEnvironmentVariable("XDG_CACHE_HOME", xdg);
            Assert.EndsWith(expected ?? "/.cache/cutoff/tokens", TokenCacheFolder.DefaultPath);
            Assert.True(Path.IsPathRooted(TokenCacheFolder.DefaultPath));
        }
        finally
        {
            Environment.SetEnvironmentVariable("XDG_CACHE_HOME", before);
        }
    }

    [Fact]
    public void Words_and_bytes_are_those_of_the_whole_document()
    {
        var line = string.Concat(Enumerable.Repeat("a w\u00f6rd  \t and more ", 30_000)) + "\n\n";
        var texts = new[] { "one", " two words\n", string.Concat(Enumerable.Repeat(line, 8)) };
        using var cache = Open(Write([.. texts.Select((text, i) => ($"{i}.txt", text))]), new CharacterEncoder());
        for (var d = 0; d < texts.Length; d++)
        {
            Assert.Equal(Regex.Split(texts[d], @"\s+").Length, cache.Words(d));
            Assert.Equal(Encoding.UTF8.GetByteCount(texts[d]), cache.Bytes(d));
        }
    }

    [Fact]
    public void The_first_documents_are_a_cache_of_their_own_and_the_rest_is_not_read()
    {
        var files = Write(("a.jsonl", "{\"text\":\" \"}\n{\"text\":\"one\"}\n{\"text\":\"two\"}\n{\"text\":\"three\"}"), ("b.jsonl", "no JSON"));
        using (var cache = new TokenCacheFolder(CacheFolder).Open(files, new CharacterEncoder(), most: 2))
        {
            Assert.Equal(["one", "two"], Texts(cache));
            Assert.Equal(1, cache.EmptyDocuments);
        }

        Assert.Throws<UserException>(() => Open(files, new CharacterEncoder()));
    }

    private TokenCache Open(IReadOnlyList<DataFile> files, ITextEncoder encoder) => new TokenCacheFolder(CacheFolder).Open(files, encoder);

    private IReadOnlyList<DataFile> Write(params (string Name, string Text)[] files) =>
        DataFiles.Find(files.Select(file => folder.Write(file.Name, file.Text)));

    private string CacheFile() =>
        Path.ChangeExtension(Directory.GetFiles(CacheFolder, "*.lock").Single(), null)!;

    private static int[] Read(TokenCache cache, int document)
    {
        var ids = new int[cache.Length(document)];
        cache.Read(document, 0, ids);
        return ids;
    }

    private static List<string> Texts(TokenCache cache) =>
        [.. Enumerable.Range(0, cache.Documents).Select(d => new string([.. Read(cache, d).Select(id => (char)id)]))];

    private sealed class Collect(List<TokenizingProgress> reports) : IProgress<TokenizingProgress>
    {
        public void Report(TokenizingProgress value) => reports.Add(value);
    }
}
