using System.Collections.ObjectModel;

namespace Microsoft.ML.Tokenizers;

/// <summary>
/// A tokenizer read from a SentencePiece BPE model. Equal to the package's, whose ids differ from SentencePiece's own in
/// three places: of several equal pairs it merges the last first where SentencePiece merges the first; it matches pieces
/// of every type, control pieces included; and its normalizer loses a text of one character where the model removes
/// extra white space.
/// </summary>
public class SentencePieceTokenizer : Tokenizer
{
    private readonly SentencePieceNormalizer normalizer;
    private readonly SentencePieceEncoder encoder;
    private readonly SentencePieceDecoder decoder;

    private protected SentencePieceTokenizer(SentencePieceModel model, bool addBeginningOfSentence, bool addEndOfSentence, IReadOnlyDictionary<string, int>? specialTokens)
    {
        var (trainer, rules) = (model.Trainer, model.Normalizer);
        AddBeginningOfSentence = addBeginningOfSentence;
        AddEndOfSentence = addEndOfSentence;
        ByteFallback = trainer.ByteFallback;
        TreatWhitespaceAsSuffix = trainer.TreatWhitespaceAsSuffix;
        AddDummyPrefix = rules.AddDummyPrefix;
        EscapeWhiteSpaces = rules.EscapeWhitespaces;
        (BeginningOfSentenceId, BeginningOfSentenceToken) = (trainer.BeginningOfSentenceId, trainer.BeginningOfSentencePiece);
        (EndOfSentenceId, EndOfSentenceToken) = (trainer.EndOfSentenceId, trainer.EndOfSentencePiece);
        (UnknownId, UnknownToken) = (trainer.UnknownId, trainer.UnknownPiece);
        SpecialTokens = specialTokens;
        normalizer = new SentencePieceNormalizer(rules.RemoveExtraWhitespaces, AddDummyPrefix, EscapeWhiteSpaces, TreatWhitespaceAsSuffix, specialTokens);
        Vocabulary = new ReadOnlyDictionary<string, int>(
            model.Pieces.Select((piece, id) => (piece.Text, id)).ToDictionary(piece => piece.Text, piece => piece.id));
        var bytes = new ByteIds(model.Pieces, ByteFallback, Vocabulary);
        encoder = new SentencePieceEncoder(model, Vocabulary, bytes, specialTokens);
        decoder = new SentencePieceDecoder(model, bytes, normalizer, specialTokens);
    }

    /// <summary>Strings that become fixed ids wherever they occur; null for none.</summary>
    public IReadOnlyDictionary<string, int>? SpecialTokens { get; }

    /// <summary>Whether characters outside the vocabulary become the ids of their UTF-8 bytes.</summary>
    public bool ByteFallback { get; }

    /// <summary>Whether a space is added before (or after) the text.</summary>
    public bool AddDummyPrefix { get; }

    /// <summary>Whether spaces are written as U+2581.</summary>
    public bool EscapeWhiteSpaces { get; }

    /// <summary>Whether spaces end words instead of beginning them.</summary>
    public bool TreatWhitespaceAsSuffix { get; }

    /// <summary>Whether encoding puts <see cref="BeginningOfSentenceId"/> before the text.</summary>
    public bool AddBeginningOfSentence { get; }

    /// <summary>Whether encoding puts <see cref="EndOfSentenceId"/> after the text.</summary>
    public bool AddEndOfSentence { get; }

    /// <summary>The string of <see cref="BeginningOfSentenceId"/>.</summary>
    public string BeginningOfSentenceToken { get; }

    /// <summary>The string of <see cref="EndOfSentenceId"/>.</summary>
    public string EndOfSentenceToken { get; }

    /// <summary>The string of <see cref="UnknownId"/>.</summary>
    public string UnknownToken { get; }

    /// <summary>The id that begins a text; 0 where the model has none.</summary>
    public int BeginningOfSentenceId { get; }

    /// <summary>The id that ends a text; 0 where the model has none.</summary>
    public int EndOfSentenceId { get; }

    /// <summary>The id of what the vocabulary lacks.</summary>
    public int UnknownId { get; }

    /// <inheritdoc/>
    public override PreTokenizer? PreTokenizer => null;

    /// <inheritdoc/>
    public override Normalizer? Normalizer => normalizer;

    /// <summary>All pieces and their ids.</summary>
    public IReadOnlyDictionary<string, int> Vocabulary { get; }

    /// <summary>The ids of a text, with or without the ids that begin and end it. There is no pre-tokenization.</summary>
    public IReadOnlyList<int> EncodeToIds(string text, bool addBeginningOfSentence, bool addEndOfSentence, bool considerPreTokenization = true, bool considerNormalization = true) =>
        string.IsNullOrEmpty(text) ? [] : encoder.Ids(Normalized(text, considerNormalization) ?? text, addBeginningOfSentence, addEndOfSentence);

    /// <inheritdoc cref="EncodeToIds(string, bool, bool, bool, bool)"/>
    public IReadOnlyList<int> EncodeToIds(ReadOnlySpan<char> text, bool addBeginningOfSentence, bool addEndOfSentence, bool considerPreTokenization = true, bool considerNormalization = true) =>
        EncodeToIds(text.ToString(), addBeginningOfSentence, addEndOfSentence, considerPreTokenization, considerNormalization);

    /// <summary>The tokens of a text, with or without those that begin and end it. There is no pre-tokenization.</summary>
    public IReadOnlyList<EncodedToken> EncodeToTokens(string text, out string? normalizedText, bool addBeginningOfSentence, bool addEndOfSentence, bool considerPreTokenization = true, bool considerNormalization = true)
    {
        normalizedText = Normalized(text, considerNormalization);
        return string.IsNullOrEmpty(text) ? [] : encoder.Tokens(normalizedText ?? text, addBeginningOfSentence, addEndOfSentence);
    }

    /// <inheritdoc cref="EncodeToTokens(string, out string?, bool, bool, bool, bool)"/>
    public IReadOnlyList<EncodedToken> EncodeToTokens(ReadOnlySpan<char> text, out string? normalizedText, bool addBeginningOfSentence, bool addEndOfSentence, bool considerPreTokenization = true, bool considerNormalization = true) =>
        EncodeToTokens(text.ToString(), out normalizedText, addBeginningOfSentence, addEndOfSentence, considerPreTokenization, considerNormalization);

    /// <summary>How many ids a text has, with or without those that begin and end it.</summary>
    public int CountTokens(string text, bool addBeginningOfSentence, bool addEndOfSentence, bool considerPreTokenization = true, bool considerNormalization = true) =>
        EncodeToIds(text, addBeginningOfSentence, addEndOfSentence, considerPreTokenization, considerNormalization).Count;

    /// <inheritdoc cref="CountTokens(string, bool, bool, bool, bool)"/>
    public int CountTokens(ReadOnlySpan<char> text, bool addBeginningOfSentence, bool addEndOfSentence, bool considerPreTokenization = true, bool considerNormalization = true) =>
        EncodeToIds(text, addBeginningOfSentence, addEndOfSentence, considerPreTokenization, considerNormalization).Count;

    /// <summary>The text of ids, without that of special tokens.</summary>
    /// <exception cref="ArgumentNullException"><paramref name="ids"/> is null.</exception>
    public override string Decode(IEnumerable<int> ids) => DecodeIds(ids);

    /// <summary>The text of ids.</summary>
    /// <param name="ids">The ids; those outside the vocabulary have no text.</param>
    /// <param name="considerSpecialTokens">Whether special tokens are written out.</param>
    /// <exception cref="ArgumentNullException"><paramref name="ids"/> is null.</exception>
    public string Decode(IEnumerable<int> ids, bool considerSpecialTokens) => decoder.Decode(ids, considerSpecialTokens);

    private protected override List<int> EncodeIds(string normalizedText, bool preTokenize) =>
        encoder.Ids(normalizedText, AddBeginningOfSentence, AddEndOfSentence);

    private protected override List<EncodedToken> EncodeTokens(string normalizedText, bool preTokenize) =>
        encoder.Tokens(normalizedText, AddBeginningOfSentence, AddEndOfSentence);

    private protected override string DecodeIds(IEnumerable<int> ids) => decoder.Decode(ids, considerSpecialTokens: false);
}
