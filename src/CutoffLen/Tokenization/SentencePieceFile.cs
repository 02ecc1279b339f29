using System.Text;
using CutoffLen.Common;

namespace CutoffLen.Tokenization;

/// <summary>
/// tokenizer.model: a SentencePiece model (sentencepiece_model.proto), of type BPE with byte fallback and without
/// replacement rules, which is what LLaMA-type models have.
/// </summary>
internal static class SentencePieceFile
{
    // Trained models have at most 16; finding merges takes time with the square of it.
    private const int LongestPiece = 512;

    private enum Kind
    {
        Normal = 1,
        Unknown = 2,
        Control = 3,
        UserDefined = 4,
        Unused = 5,
        Byte = 6,
    }

    private sealed record Piece(string Text, float Score, Kind Kind);

    private sealed class Model
    {
        public List<Piece> Pieces { get; } = [];

        public int Type { get; set; } = 1;

        public bool ByteFallback { get; set; }

        public bool SpaceAfterWords { get; set; }

        public bool HasRules { get; set; }

        public bool AddPrefix { get; set; } = true;

        public bool RemoveExtra { get; set; } = true;

        public bool EscapeSpaces { get; set; } = true;

        public int Bos { get; set; } = 1;

        public int Eos { get; set; } = 2;
    }

    /// <summary>Reads a model.</summary>
    /// <param name="bytes">The file.</param>
    /// <param name="path">Its name in error messages.</param>
    public static TokenizerDefinition Read(ReadOnlySpan<byte> bytes, string path)
    {
        try
        {
            var model = new Model();
            var fields = new ProtobufFields(bytes);
            while (fields.Next())
            {
                ReadField(model, fields.Number, fields.Bytes);
            }

            return Check(model) is { } fault ? throw new InvalidDataException(fault) : Build(model);
        }
        catch (Exception fault) when (fault is InvalidDataException or DecoderFallbackException or ArgumentException)
        {
            throw new UserException($"{path}: not a SentencePiece model that can be used: {fault.Message}", fault);
        }
    }

    private static void ReadField(Model model, int number, ReadOnlySpan<byte> bytes)
    {
        switch (number)
        {
            case 1:
                model.Pieces.Add(ReadPiece(bytes));
                break;
            case 2:
                ReadTrainer(model, new ProtobufFields(bytes));
                break;
            case 3:
                ReadNormalizer(model, new ProtobufFields(bytes));
                break;
        }
    }

    private static Piece ReadPiece(ReadOnlySpan<byte> bytes)
    {
        var fields = new ProtobufFields(bytes);
        var (text, score, kind) = ("", 0f, Kind.Normal);
        while (fields.Next())
        {
            switch (fields.Number)
            {
                case 1:
                    text = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(fields.Bytes);
                    break;
                case 2:
                    score = BitConverter.UInt32BitsToSingle((uint)fields.Value);
                    break;
                case 3:
                    kind = (Kind)Math.Min(fields.Value, 99);
                    break;
            }
        }

        return new Piece(text, score, kind);
    }

    private static void ReadTrainer(Model model, ProtobufFields fields)
    {
        while (fields.Next())
        {
            switch (fields.Number)
            {
                case 3:
                    model.Type = (int)Math.Min(fields.Value, 99);
                    break;
                case 24:
                    model.SpaceAfterWords = fields.Value != 0;
                    break;
                case 35:
                    model.ByteFallback = fields.Value != 0;
                    break;
                case 41:
                    model.Bos = unchecked((int)fields.Value); // -1 for none
                    break;
                case 42:
                    model.Eos = unchecked((int)fields.Value);
                    break;
            }
        }
    }

    private static void ReadNormalizer(Model model, ProtobufFields fields)
    {
        while (fields.Next())
        {
            switch (fields.Number)
            {
                case 2:
                    model.HasRules = fields.Bytes.Length > 0;
                    break;
                case 3:
                    model.AddPrefix = fields.Value != 0;
                    break;
                case 4:
                    model.RemoveExtra = fields.Value != 0;
                    break;
                case 5:
                    model.EscapeSpaces = fields.Value != 0;
                    break;
            }
        }
    }

    private static string? Check(Model model)
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
        && !(piece.Kind == Kind.Normal && piece.Text.Contains(' '))
        && piece.Kind is >= Kind.Normal and <= Kind.Byte and not Kind.Unused
        && float.IsFinite(piece.Score);

    private static TokenizerDefinition Build(Model model)
    {
        var pieces = new Dictionary<string, int>(StringComparer.Ordinal);
        var byteIds = Enumerable.Repeat(-1, 256).ToArray();
        var (controls, userDefined) = (new List<AddedToken>(), new List<AddedToken>());
        for (var id = 0; id < model.Pieces.Count; id++)
        {
            var (text, _, kind) = model.Pieces[id];
            switch (kind)
            {
                case Kind.Byte:
                    SetByteId(byteIds, text, id);
                    break;
                case Kind.Normal:
                    pieces.Add(text, id);
                    break;
                case Kind.UserDefined:
                    userDefined.Add(new AddedToken(id, text, Special: false, Normalized: true) { Text = text.Replace(MetaspaceModel.Space, ' ') });
                    break;
                default:
                    controls.Add(new AddedToken(id, text, Special: true));
                    break;
            }
        }

        RequireAllBytes(byteIds);
        var whitespace = new Whitespace(model.AddPrefix ? SpacePrefix.Always : SpacePrefix.Never, model.RemoveExtra);
        var metaspace = MetaspaceModel.Create(pieces, byteIds, Merges(model, pieces), whitespace);
        return new TokenizerDefinition(
            metaspace,
            userDefined.ConvertAll(token => token with { Content = metaspace.Escape(token.Content) }),
            Before: [],
            After: [],
            Existing(model, model.Bos),
            Existing(model, model.Eos),
            controls);
    }

    private static int? Existing(Model model, int id) => id >= 0 && id < model.Pieces.Count ? id : null;

    /// <summary>Notes the id of a byte token.</summary>
    /// <returns>Whether it is one.</returns>
    public static bool SetByteId(int[] byteIds, string token, int id)
    {
        if (MetaspaceModel.ByteOf(token) is not { } value)
        {
            return false;
        }

        byteIds[value] = id;
        return true;
    }

    /// <summary>Fails unless each byte has a token.</summary>
    public static void RequireAllBytes(int[] byteIds)
    {
        if (Array.IndexOf(byteIds, -1) is >= 0 and var missing)
        {
            throw new InvalidDataException($"the token of byte <0x{missing:X2}> is missing");
        }
    }

    /// <summary>
    /// SentencePiece joins the neighbours whose union has the highest score, the leftmost of equal ones. As a list of
    /// merges: by score, and among equal scores the longest left part first, which is the same for runs of one
    /// character, where equal scores occur in practice (LLaMA's runs of 2 to 16 spaces all have the same).
    /// </summary>
    private static List<string> Merges(Model model, Dictionary<string, int> pieces)
    {
        var lookup = pieces.GetAlternateLookup<ReadOnlySpan<char>>();
        var merges = new List<(float Score, int Left, int Id)>();
        foreach (var (text, id) in pieces)
        {
            for (var left = 1; left < text.Length; left++)
            {
                if (lookup.ContainsKey(text.AsSpan(0, left)) && lookup.ContainsKey(text.AsSpan(left)))
                {
                    merges.Add((model.Pieces[id].Score, left, id));
                }
            }
        }

        merges.Sort((a, b) => (b.Score, b.Left, a.Id).CompareTo((a.Score, a.Left, b.Id)));
        return merges.ConvertAll(merge =>
        {
            var text = model.Pieces[merge.Id].Text;
            return $"{text.AsSpan(0, merge.Left)} {text.AsSpan(merge.Left)}";
        });
    }
}
