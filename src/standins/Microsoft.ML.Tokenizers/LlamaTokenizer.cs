namespace Microsoft.ML.Tokenizers;

/// <summary>The tokenizer of LLaMA and LLaMA-2: a SentencePiece BPE model.</summary>
public sealed class LlamaTokenizer : SentencePieceTokenizer
{
    private LlamaTokenizer(SentencePieceModel model, bool addBeginOfSentence, bool addEndOfSentence, IReadOnlyDictionary<string, int>? specialTokens)
        : base(model, addBeginOfSentence, addEndOfSentence, specialTokens)
    {
    }

    /// <summary>Reads a SentencePiece model file, which must be of type BPE and have no replacement rules.</summary>
    /// <param name="modelStream">The file.</param>
    /// <param name="addBeginOfSentence">Put the beginning-of-sentence id before every text that isn't empty.</param>
    /// <param name="addEndOfSentence">Put the end-of-sentence id after it.</param>
    /// <param name="specialTokens">Strings that become these ids wherever they occur in the (normalized) text.</param>
    /// <exception cref="ArgumentNullException"><paramref name="modelStream"/> is null.</exception>
    /// <exception cref="IOException">The stream is not a SentencePiece model.</exception>
    /// <exception cref="ArgumentException">It is a model of another type, has replacement rules, or has a piece or a special id twice.</exception>
    public static LlamaTokenizer Create(Stream modelStream, bool addBeginOfSentence = true, bool addEndOfSentence = false, IReadOnlyDictionary<string, int>? specialTokens = null) =>
        new(SentencePieceModel.ReadBpe(modelStream), addBeginOfSentence, addEndOfSentence, specialTokens);
}
