using System.Globalization;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Microsoft.ML.Tokenizers;

namespace Standins.Tests.Tokenizers;

/// <summary>The ways to get a checkpoint's own ids, and what always holds for them.</summary>
public sealed class CheckpointTokenizerTests
{
    private static readonly CheckpointTokenizer Llama = CheckpointTokenizer.FromModel(Fixtures.Bytes("llama"));
    private static readonly CheckpointTokenizer ByteLevel = CheckpointTokenizer.FromJson(Fixtures.PathOf("byte-level.tokenizer.json"));

    [Theory]
    [InlineData("llama")]
    [InlineData("trimming")]
    public void A_SentencePiece_model_gives_SentencePieces_ids_and_text(string model)
    {
        var tokenizer = CheckpointTokenizer.FromModel(Fixtures.Bytes(model));
        Assert.All(Fixtures.SentencePiece[model], reference =>
        {
            Assert.Equal(reference.Ids, tokenizer.Encode(reference.Text));
            Assert.Equal(reference.Decoded, tokenizer.Decode(reference.Ids));
        });
    }

    [Fact]
    public void A_byte_level_tokenizer_json_gives_the_plain_encoders_ids_and_the_text_again() =>
        Assert.All(Fixtures.ByteLevel, reference =>
        {
            Assert.Equal(reference.Ids, ByteLevel.Encode(reference.Text));
            Assert.Equal(reference.Text, ByteLevel.Decode(reference.Ids));
        });

    [Fact]
    public void Any_text_survives_a_byte_level_tokenizer() =>
        Prop.ForAll(Texts, text => ByteLevel.Decode(ByteLevel.Encode(text)) == text).Check(Often);

    [Fact]
    public void Any_text_survives_a_SentencePiece_model_with_byte_fallback_but_for_U2581_that_becomes_a_space()
    {
        var direct = Fixtures.Open("llama");
        Prop.ForAll(Texts, text => Llama.Decode(Llama.Encode(text)) == text.Replace('▁', ' ')).Check(Often);
        Prop.ForAll(Texts, text => direct.Decode(direct.EncodeToIds(text)) == text.Replace('▁', ' ')).Check(Often);
    }

    [Fact]
    public void A_SentencePiece_model_is_encoded_as_the_plain_encoder_does()
    {
        var file = ModelFile.Read(Fixtures.Bytes("llama"));
        var direct = Fixtures.Open("llama");
        var (first, last) = (PlainBpe.Of(file, lastOfEqualsFirst: false), PlainBpe.Of(file, lastOfEqualsFirst: true));
        Prop.ForAll(Texts, text => PlainBpe.IdsOf(last.Encode(Escaped(text)), direct).SequenceEqual(direct.EncodeToIds(text))).Check(Often);
        Prop.ForAll(Texts, text => PlainBpe.IdsOf(first.Encode(Escaped(text)), direct).SequenceEqual(Llama.Encode(text))).Check(Often);
    }

    /// <summary>Random small vocabularies over few letters, where pairs overlap and compete at every turn.</summary>
    [Fact]
    public void A_random_vocabulary_is_encoded_as_the_plain_encoder_does() =>
        Prop.ForAll(
            Arb.From(Gen.Choose(0, int.MaxValue)),
            seed =>
            {
                var random = new System.Random(seed);
                var pieces = RandomPieces(random);
                var tokenizer = LlamaTokenizer.Create(new ModelFile { Pieces = pieces, AddDummyPrefix = false }.Open(), false);
                var plain = new PlainBpe(pieces.Skip(3).ToDictionary(piece => piece.Text, piece => piece.Score), lastOfEqualsFirst: true);
                var text = Letters(random, 60);
                return plain.Encode(text).Select(symbol => tokenizer.Vocabulary.GetValueOrDefault(symbol)).SequenceEqual(tokenizer.EncodeToIds(text));
            }).Check(Often);

    private static Config Often => Config.QuickThrowOnFailure.WithReplay(20261121, 1).WithMaxTest(300);

    /// <summary>Texts of valid Unicode: English words and spaces, anything else, and runs of one character.</summary>
    private static Arbitrary<string> Texts
    {
        get
        {
            string[] common = [" ", "  ", "        ", "\n", "\t", "a", "e", "whale", " the", "Ishmael", "-", "----", "=", ".", "12", "▁", "é", "中", "😀", "<s>", "<|end|>", "\0", "\u200D", "e\u0301"];
            var anything = Gen.Choose(0, 0x10FFFF).Where(point => point is < 0xD800 or > 0xDFFF).Select(char.ConvertFromUtf32);
            var part = Gen.Frequency((6, Gen.Elements(common)), (1, anything), (1, Gen.Elements(common).SelectMany(text => Gen.Choose(1, 9).Select(times => string.Concat(Enumerable.Repeat(text, times))))));
            return Arb.From(part.ListOf().Select(string.Concat), Shorter);
        }
    }

    private static IEnumerable<string> Shorter(string text)
    {
        var starts = StringInfo.ParseCombiningCharacters(text);
        return starts.Length < 2 ? [] : [text[..starts[starts.Length / 2]], text[starts[starts.Length / 2]..], text[starts[1]..], text[..starts[^1]]];
    }

    private static string Escaped(string text) => text.Length == 0 ? "" : "▁" + text.Replace(' ', '▁');

    private static List<ModelPiece> RandomPieces(System.Random random)
    {
        var pieces = new ModelFile().Pieces;
        var scores = random.Next(2) == 0 ? 5 : 1000;
        foreach (var text in Enumerable.Range(0, 30).Select(_ => Letters(random, 4)).Append("a").Append("b").Distinct())
            pieces.Add(new ModelPiece(text, -random.Next(scores)));
        return pieces;
    }

    private static string Letters(System.Random random, int most)
    {
        var text = new StringBuilder();
        for (var count = random.Next(1, most + 1); count > 0; count--)
            text.Append(random.Next(5) switch { 0 => "b", 1 => "▁", 2 => "😀", _ => "a" });
        return text.ToString();
    }
}
