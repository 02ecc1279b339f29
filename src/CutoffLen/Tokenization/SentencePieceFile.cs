using System.Text;
using CutoffLen.Common;
using CutoffLen.Tokenization.HuggingFace;
using Google.Protobuf;

namespace CutoffLen.Tokenization;

/// <summary>
/// tokenizer.model: a SentencePiece model (sentencepiece_model.proto), of type BPE with byte fallback and without
/// replacement rules, which is what LLaMA-type models have.
/// </summary>
internal static class SentencePieceFile
{
    // Trained models have at most 16. Finding merges takes time quadratic in it.
    private const int LongestPiece = 512;

    // Stands for a space.
    private const char Space = '\u2581';

    /// <summary>Reads a model.</summary>
    /// <param name="bytes">The file.</param>
    /// <param name="path">Its name in error messages.</param>
    /// <param name="legacy">Whether a space is put before each part of a text, also after an added token.</param>
    public static TokenizerDefinition Read(byte[] bytes, string path, bool legacy)
    {
        try
        {
            var model = SentencePieceModel.Read(bytes);
            return Check(model) is { } fault ? throw new InvalidDataException(fault) : Build(model, path, legacy);
        }
        catch (Exception fault) when (fault is InvalidDataException or InvalidProtocolBufferException or DecoderFallbackException or ArgumentException)
        {
            throw new UserException($"{path}: not a SentencePiece model that can be used: {fault.Message}", fault);
        }
    }

    private static string? Check(SentencePieceModel model)
    {
        if (model.Pieces.Count == 0)
        {
            return "it has no pieces";
        }

        if (model.Type != 2)
        {
            return "its type is not BPE";
        }

        if (!model.ByteFallback)
        {
            return "it has no byte fallback";
        }

        if (model.HasRules)
        {
            return "it has replacement rules; train with --normalization_rule_name=identity";
        }

        if (model.SpaceAfterWords || !model.EscapeSpaces)
        {
            return "it treats white space in a way LLaMA's tokenizers do not";
        }

        return model.Pieces.FindIndex(piece => !IsUsable(piece)) is >= 0 and var at
            ? $"piece {at} is empty, longer than {LongestPiece} characters, has a space or no score, or is of an unsupported kind"
            : null;
    }

    private static bool IsUsable(Piece piece) =>
        piece.Text.Length is > 0 and <= LongestPiece
        && !(piece.Kind == PieceKind.Normal && piece.Text.Contains(' '))
        && piece.Kind is >= PieceKind.Normal and <= PieceKind.Byte and not PieceKind.Unused
        && float.IsFinite(piece.Score);

    private static TokenizerDefinition Build(SentencePieceModel model, string path, bool legacy)
    {
        var (vocabulary, pieces) = (new Dictionary<string, int>(StringComparer.Ordinal), new HashSet<string>(StringComparer.Ordinal));
        var (controls, userDefined) = (new List<AddedToken>(), new List<AddedToken>());
        foreach (var (id, (text, _, kind)) in model.Pieces.Index())
        {
            switch (kind)
            {
                case PieceKind.Normal or PieceKind.Byte:
                    vocabulary.Add(text, id);
                    _ = kind == PieceKind.Normal && pieces.Add(text);
                    break;
                case PieceKind.UserDefined:
                    userDefined.Add(new AddedToken(id, text, Special: false, Normalized: true, File: path) { Pattern = text.Replace(' ', Space) });
                    break;
                default:
                    controls.Add(new AddedToken(id, text, Special: true, File: path));
                    break;
            }
        }

        if (Enumerable.Range(0, 256).FirstOrDefault(value => !vocabulary.ContainsKey($"<0x{value:X2}>"), -1) is >= 0 and var missing)
        {
            throw new InvalidDataException($"the token of byte <0x{missing:X2}> is missing");
        }

        var prefixAlways = model.AddPrefix && legacy;
        return new TokenizerDefinition(
            "SentencePiece BPE with byte fallback",
            [piece => new TextPart(Normalize(piece.Text, prefixAlways, model.RemoveExtra), piece.First)],
            model.AddPrefix && !legacy ? [PreTokenizers.Metaspace(new MetaspaceSettings(Space, PrependScheme.First, Split: false))] : [],
            new BpeModel(vocabulary, Merges(model, vocabulary, pieces), new BpeRules(ByteFallback: true)),
            [
                Decoders.Replace($"{Space}", " "),
                Decoders.ByteFallback,
                Decoders.Fuse,
                Decoders.Strip(' ', model.RemoveExtra ? int.MaxValue : model.AddPrefix ? 1 : 0, 0),
            ])
        {
            Added = userDefined,
            Controls = controls,
            AddsByFlags = true,
            Bos = Existing(model, model.Bos),
            Eos = Existing(model, model.Eos),
        };
    }

    private static string Normalize(string text, bool addPrefix, bool removeExtra)
    {
        text = removeExtra ? string.Join(' ', text.Split(' ', StringSplitOptions.RemoveEmptyEntries)) : text;
        text = (addPrefix && text.Length > 0 ? " " + text : text).Replace(' ', Space);
        return removeExtra ? text.TrimEnd(Space) : text;
    }

    private static int? Existing(SentencePieceModel model, int id) => id >= 0 && id < model.Pieces.Count ? id : null;

    /// <summary>
    /// SentencePiece merges the neighbours whose union has the highest score, the leftmost of equal ones. As a list of
    /// merges that is by score, and among equal scores the longest left part first. The two agree on runs of one
    /// character, where equal scores occur in practice: LLaMA's runs of 2 to 16 spaces all have one score.
    /// </summary>
    private static List<(string Left, string Right)> Merges(SentencePieceModel model, Dictionary<string, int> vocabulary, HashSet<string> pieces)
    {
        var lookup = pieces.GetAlternateLookup<ReadOnlySpan<char>>();
        var merges = new List<(float Score, int Left, int Id)>();
        foreach (var text in pieces)
        {
            var id = vocabulary[text];
            for (var left = 1; left < text.Length; left++)
            {
                if (lookup.Contains(text.AsSpan(0, left)) && lookup.Contains(text.AsSpan(left)))
                {
                    merges.Add((model.Pieces[id].Score, left, id));
                }
            }
        }

        merges.Sort((a, b) => (b.Score, b.Left, a.Id).CompareTo((a.Score, a.Left, b.Id)));
        return merges.ConvertAll(merge => (model.Pieces[merge.Id].Text[..merge.Left], model.Pieces[merge.Id].Text[merge.Left..]));
    }
}
