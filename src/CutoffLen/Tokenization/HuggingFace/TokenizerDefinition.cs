namespace CutoffLen.Tokenization.HuggingFace;

/// <summary>What the files of a tokenizer say, in the parts of Hugging Face's tokenizers library.</summary>
/// <param name="Kind">In words, for people.</param>
/// <param name="Normalizers">What changes the text between added tokens, in order.</param>
/// <param name="PreTokenizers">What cuts it into words, in order.</param>
/// <param name="Model">What makes tokens of a word.</param>
/// <param name="Decoders">What makes text of tokens, in order.</param>
internal sealed record TokenizerDefinition(
    string Kind,
    IReadOnlyList<Func<TextPart, TextPart>> Normalizers,
    IReadOnlyList<PreTokenizer> PreTokenizers,
    BpeModel Model,
    IReadOnlyList<Func<IEnumerable<string>, IEnumerable<string>>> Decoders)
{
    private readonly WordCache known = new();

    /// <summary>Tokens that are found in text as they stand.</summary>
    public IReadOnlyList<AddedToken> Added { get; init; } = [];

    /// <summary>Tokens that no text becomes but that have a meaning (BOS, EOS, unknown).</summary>
    public IReadOnlyList<AddedToken> Controls { get; init; } = [];

    /// <summary>Ids that the file itself puts before a text.</summary>
    public IReadOnlyList<int> Before { get; init; } = [];

    /// <summary>Ids that the file itself puts after a text.</summary>
    public IReadOnlyList<int> After { get; init; } = [];

    /// <summary>Whether tokenizer_config.json's add_bos_token and add_eos_token decide about BOS and EOS instead.</summary>
    public bool AddsByFlags { get; init; }

    /// <summary>The id that begins texts, where the file says so.</summary>
    public int? Bos { get; init; }

    /// <summary>The id that ends texts, where the file says so.</summary>
    public int? Eos { get; init; }

    private bool SpellsBytes => PreTokenizers is [.., var last] && last == HuggingFace.PreTokenizers.AsBytes;

    /// <summary>Normalized text of a piece.</summary>
    public TextPart Normalize(TextPart piece) => Normalizers.Aggregate(piece, (text, step) => step(text));

    /// <summary>Appends the ids of normalized text. Safe from several threads at once.</summary>
    public void Encode(TextPart normalized, List<int> ids)
    {
        // Writing words as bytes changes each word by itself, which need not be done for known words.
        var steps = PreTokenizers.Count - (SpellsBytes ? 1 : 0);
        List<TextPart> pieces = [normalized];
        for (var step = 0; step < steps; step++)
        {
            var parts = new List<TextPart>(pieces.Count);
            foreach (var piece in pieces)
            {
                PreTokenizers[step](piece, parts);
            }

            pieces = parts;
        }

        foreach (var word in pieces)
        {
            if (!known.TryAppend(word.Span, ids))
            {
                var before = ids.Count;
                Model.Encode(SpellsBytes ? ByteAlphabet.Encode(word.Text) : word.Text, ids);
                known.Remember(word.Span, ids, before);
            }
        }
    }

    /// <summary>The text of tokens, as the vocabulary spells them.</summary>
    public string Decode(IEnumerable<string> tokens) => string.Concat(Decoders.Aggregate(tokens, (text, step) => step(text)));
}
