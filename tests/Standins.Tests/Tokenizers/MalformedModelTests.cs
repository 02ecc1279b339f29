using System.Text;
using Microsoft.ML.Tokenizers;

namespace Standins.Tests.Tokenizers;

public sealed class MalformedModelTests
{
    private static readonly byte[] Valid = Fixtures.Bytes("llama");

    public static TheoryData<string, byte[]> NotProtobuf => new()
    {
        { "text", Encoding.UTF8.GetBytes("{\"model\": 1}") },
        { "an endless integer", [0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01] },
        { "more bytes announced than there are", [0x0A, 0xFF, 0xFF, 0xFF, 0x7F, 0x00] },
        { "field 0", [0x00, 0x01] },
        { "an unknown wire type", [0x0F, 0x01] },
        { "a group that only ends", [0x0C] },
        { "a group that only begins", [0x4B, 0x4B, 0x08, 0x01] },
        { "a cut varint", [0x50, 0x80] },
        { "a model cut short", Valid[..^3] },
    };

    [Theory]
    [MemberData(nameof(NotProtobuf))]
    public void What_is_no_protobuf_message_is_an_input_error(string what, byte[] file) =>
        Assert.True(Record.Exception(() => LlamaTokenizer.Create(new MemoryStream(file))) is IOException, what);

    [Fact]
    public void A_model_of_another_type_is_refused() =>
        Assert.Throws<ArgumentException>(() => Open(new ModelFile { ModelType = 1 }));

    [Fact]
    public void Replacement_rules_are_refused() =>
        Assert.Contains("nmt_nfkc", Assert.Throws<ArgumentException>(() => Open(new ModelFile { NormalizerName = "nmt_nfkc" })).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData(new byte[] { 1, 0 })]
    [InlineData(new byte[] { 0xFF, 0xFF, 0xFF, 0x7F, 0, 0 })]
    public void A_broken_character_map_is_refused(byte[] map) =>
        Assert.ThrowsAny<ArgumentException>(() => Open(new ModelFile { CharacterMap = map }));

    [Fact]
    public void A_piece_that_comes_twice_is_refused() =>
        Assert.Throws<ArgumentException>(() => Open(new ModelFile { Pieces = [new("a", 0), new("a", 0)] }));

    [Fact]
    public void An_id_of_two_special_tokens_is_refused() =>
        Assert.Throws<ArgumentException>(() => LlamaTokenizer.Create(new ModelFile().Open(), specialTokens: new Dictionary<string, int> { ["x"] = 7, ["y"] = 7 }));

    [Fact]
    public void No_stream_is_an_argument_error() => Assert.Throws<ArgumentNullException>(() => LlamaTokenizer.Create(null!));

    [Fact]
    public void Unknown_fields_and_groups_are_passed_over()
    {
        byte[] extra = [0x4B, 0x53, 0x08, 0x05, 0x54, 0x11, 1, 2, 3, 4, 5, 6, 7, 8, 0x4C, 0x9D, 0x06, 1, 2, 3, 4, 0xA0, 0x06, 9];
        var tokenizer = LlamaTokenizer.Create(new MemoryStream([.. extra, .. Valid]), false);
        Assert.Equal(Fixtures.Open("llama").EncodeToIds("whale"), tokenizer.EncodeToIds("whale"));
    }

    [Fact]
    public void A_stream_need_not_be_seekable()
    {
        using var pipe = new System.IO.Compression.GZipStream(new MemoryStream(Zip(Valid)), System.IO.Compression.CompressionMode.Decompress);
        Assert.Equal(500, LlamaTokenizer.Create(pipe).Vocabulary.Count);
    }

    /// <summary>Whatever bytes are changed: an exception of the known kinds, or a tokenizer that encodes and decodes.</summary>
    [Fact]
    public void Damaged_models_are_refused_or_work()
    {
        var random = new Random(11);
        for (var round = 0; round < 600; round++)
        {
            var file = (byte[])Valid.Clone();
            for (var changes = random.Next(1, 4); changes > 0; changes--)
                file[random.Next(file.Length)] = (byte)random.Next(256);
            // Most of the file is pieces; the settings at its end deserve as many trials.
            if (round % 2 == 0)
                file[^random.Next(1, 60)] = (byte)random.Next(256);
            var error = Record.Exception(() =>
            {
                var tokenizer = LlamaTokenizer.Create(new MemoryStream(file));
                tokenizer.Decode(tokenizer.EncodeToIds("There she blows! 12 éß😀"), considerSpecialTokens: true);
            });
            // The package dereferences null where a settings message is missing.
            Assert.True(error is null or IOException or ArgumentException or NullReferenceException, $"round {round}: {error}");
        }
    }

    private static LlamaTokenizer Open(ModelFile file) => LlamaTokenizer.Create(file.Open());

    private static byte[] Zip(byte[] bytes)
    {
        using var zipped = new MemoryStream();
        using (var zip = new System.IO.Compression.GZipStream(zipped, System.IO.Compression.CompressionLevel.Fastest))
            zip.Write(bytes);
        return zipped.ToArray();
    }
}
