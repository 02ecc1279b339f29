using CutoffLen.Files;
using Google.Protobuf;

namespace CutoffLen.Tokenization;

/// <summary>The kinds of pieces (ModelProto.SentencePiece.Type).</summary>
internal enum PieceKind
{
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

/// <summary>A piece of a SentencePiece model, which is a token.</summary>
internal sealed record Piece(string Text, float Score, PieceKind Kind);

/// <summary>What a SentencePiece model (sentencepiece_model.proto) says, unchecked.</summary>
internal sealed class SentencePieceModel
{
    /// <summary>The pieces, by id.</summary>
    public List<Piece> Pieces { get; } = [];

    public int Type { get; private set; } = 1;

    public bool ByteFallback { get; private set; }

    public bool SpaceAfterWords { get; private set; }

    public bool HasRules { get; private set; }

    /// <summary>add_dummy_prefix: a space is put before a text.</summary>
    public bool AddPrefix { get; private set; } = true;

    /// <summary>remove_extra_whitespaces.</summary>
    public bool RemoveExtra { get; private set; } = true;

    public bool EscapeSpaces { get; private set; } = true;

    public int Bos { get; private set; } = 1;

    public int Eos { get; private set; } = 2;

    /// <summary>Reads the file's bytes.</summary>
    /// <exception cref="InvalidProtocolBufferException">It is no such message.</exception>
    // A tag is (field number << 3) | wire type: 0 is a varint, 2 has a length, 5 is four bytes.
    public static SentencePieceModel Read(byte[] bytes)
    {
        var (model, message) = (new SentencePieceModel(), new CodedInputStream(bytes));
        while (message.ReadTag() is not 0 and var tag)
        {
            switch (tag)
            {
                case (1 << 3) | 2:
                    model.Pieces.Add(ReadPiece(message.ReadBytes().CreateCodedInput()));
                    break;
                case (2 << 3) | 2:
                    ReadTrainer(model, message.ReadBytes().CreateCodedInput());
                    break;
                case (3 << 3) | 2:
                    ReadNormalizer(model, message.ReadBytes().CreateCodedInput());
                    break;
                default:
                    message.SkipLastField();
                    break;
            }
        }

        return model;
    }

    private static Piece ReadPiece(CodedInputStream message)
    {
        var (text, score, kind) = ("", 0f, PieceKind.Normal);
        while (message.ReadTag() is not 0 and var tag)
        {
            switch (tag)
            {
                case (1 << 3) | 2:
                    text = StrictUtf8.Encoding.GetString(message.ReadBytes().Span);
                    break;
                case (2 << 3) | 5:
                    score = message.ReadFloat();
                    break;
                case 3 << 3:
                    kind = (PieceKind)message.ReadEnum();
                    break;
                default:
                    message.SkipLastField();
                    break;
            }
        }

        return new Piece(text, score, kind);
    }

    private static void ReadTrainer(SentencePieceModel model, CodedInputStream message)
    {
        while (message.ReadTag() is not 0 and var tag)
        {
            switch (tag)
            {
                case 3 << 3:
                    model.Type = message.ReadEnum();
                    break;
                case 24 << 3:
                    model.SpaceAfterWords = message.ReadBool();
                    break;
                case 35 << 3:
                    model.ByteFallback = message.ReadBool();
                    break;
                case 41 << 3:
                    model.Bos = message.ReadInt32(); // -1 for none
                    break;
                case 42 << 3:
                    model.Eos = message.ReadInt32();
                    break;
                default:
                    message.SkipLastField();
                    break;
            }
        }
    }

    private static void ReadNormalizer(SentencePieceModel model, CodedInputStream message)
    {
        while (message.ReadTag() is not 0 and var tag)
        {
            switch (tag)
            {
                case (2 << 3) | 2:
                    model.HasRules = message.ReadBytes().Length > 0;
                    break;
                case 3 << 3:
                    model.AddPrefix = message.ReadBool();
                    break;
                case 4 << 3:
                    model.RemoveExtra = message.ReadBool();
                    break;
                case 5 << 3:
                    model.EscapeSpaces = message.ReadBool();
                    break;
                default:
                    message.SkipLastField();
                    break;
            }
        }
    }
}
