using System.Buffers.Binary;

namespace Microsoft.ML.Tokenizers;

/// <summary>What a piece of a SentencePiece model is for; the numbers are the file format's.</summary>
internal enum PieceType
{
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

/// <summary>A piece: its text, and its score, higher merges first.</summary>
internal sealed record Piece(string Text, float Score, PieceType Type)
{
    public static Piece Read(ReadOnlySpan<byte> message)
    {
        var piece = new Piece("", 0, PieceType.Normal);
        var reader = new ProtobufReader(message);
        while (reader.Next() is { } field)
            switch (field)
            {
                case (1, WireType.Bytes): piece = piece with { Text = reader.Text() }; break;
                case (2, WireType.Fixed32): piece = piece with { Score = reader.Single() }; break;
                case (3, WireType.Varint): piece = piece with { Type = (PieceType)(int)reader.Varint() }; break;
                default: reader.Skip(field.Type); break;
            }
        return piece;
    }
}

/// <summary>The training settings that encoding depends on, with the file format's defaults.</summary>
internal sealed class TrainerSpec
{
    private const int Bpe = 2;
    private int modelType = 1;

    public bool IsBpe => modelType == Bpe;

    public bool TreatWhitespaceAsSuffix { get; private set; }

    public bool ByteFallback { get; private set; }

    public int UnknownId { get; private set; }

    public int BeginningOfSentenceId { get; private set; } = 1;

    public int EndOfSentenceId { get; private set; } = 2;

    public string UnknownPiece { get; private set; } = "<unk>";

    public string BeginningOfSentencePiece { get; private set; } = "<s>";

    public string EndOfSentencePiece { get; private set; } = "</s>";

    public void Read(ReadOnlySpan<byte> message)
    {
        var reader = new ProtobufReader(message);
        while (reader.Next() is { } field)
            switch (field)
            {
                case (3, WireType.Varint): modelType = (int)reader.Varint(); break;
                case (24, WireType.Varint): TreatWhitespaceAsSuffix = reader.Varint() != 0; break;
                case (35, WireType.Varint): ByteFallback = reader.Varint() != 0; break;
                case (40, WireType.Varint): UnknownId = Id(reader.Varint()); break;
                case (41, WireType.Varint): BeginningOfSentenceId = Id(reader.Varint()); break;
                case (42, WireType.Varint): EndOfSentenceId = Id(reader.Varint()); break;
                case (45, WireType.Bytes): UnknownPiece = reader.Text(); break;
                case (46, WireType.Bytes): BeginningOfSentencePiece = reader.Text(); break;
                case (47, WireType.Bytes): EndOfSentencePiece = reader.Text(); break;
                default: reader.Skip(field.Type); break;
            }
    }

    // A model without such a token says -1.
    private static int Id(ulong value) => Math.Max(0, (int)value);
}

/// <summary>The normalization settings, with the file format's defaults.</summary>
internal sealed class NormalizerSpec
{
    public string Name { get; private set; } = "";

    public bool AddDummyPrefix { get; private set; } = true;

    public bool RemoveExtraWhitespaces { get; private set; } = true;

    public bool EscapeWhitespaces { get; private set; } = true;

    public void Read(ReadOnlySpan<byte> message)
    {
        var reader = new ProtobufReader(message);
        while (reader.Next() is { } field)
            switch (field)
            {
                case (1, WireType.Bytes): Name = reader.Text(); break;
                case (2, WireType.Bytes): CheckCharacterMap(reader.Bytes()); break;
                case (3, WireType.Varint): AddDummyPrefix = reader.Varint() != 0; break;
                case (4, WireType.Varint): RemoveExtraWhitespaces = reader.Varint() != 0; break;
                case (5, WireType.Varint): EscapeWhitespaces = reader.Varint() != 0; break;
                default: reader.Skip(field.Type); break;
            }
    }

    // Four bytes say how long the trie is that follows; replacements come after it.
    private static void CheckCharacterMap(ReadOnlySpan<byte> map)
    {
        if (map.IsEmpty)
            return;
        if (map.Length <= sizeof(uint) || BinaryPrimitives.ReadUInt32LittleEndian(map) > (uint)(map.Length - sizeof(uint)))
            throw new ArgumentException("The model's precompiled character map is cut short.");
    }
}

/// <summary>A SentencePiece model file (sentencepiece_model.proto), as far as BPE encoding needs it.</summary>
internal sealed class SentencePieceModel
{
    private SentencePieceModel()
    {
    }

    public List<Piece> Pieces { get; } = [];

    public TrainerSpec Trainer { get; } = new();

    public NormalizerSpec Normalizer { get; } = new();

    /// <summary>Reads a BPE model without replacement rules.</summary>
    /// <exception cref="IOException">The stream is not a protobuf message of this kind.</exception>
    /// <exception cref="ArgumentException">It is a model of another kind.</exception>
    public static SentencePieceModel ReadBpe(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        using var copy = new MemoryStream();
        stream.CopyTo(copy);

        var model = new SentencePieceModel();
        model.Read(copy.GetBuffer().AsSpan(0, (int)copy.Length));
        if (!model.Trainer.IsBpe)
            throw new ArgumentException("The model type is not Bpe.");
        if (model.Normalizer.Name is not ("" or "identity"))
            throw new ArgumentException($"Normalization '{model.Normalizer.Name}' is not supported.");
        return model;
    }

    private void Read(ReadOnlySpan<byte> message)
    {
        var reader = new ProtobufReader(message);
        while (reader.Next() is { } field)
            switch (field)
            {
                case (1, WireType.Bytes): Pieces.Add(Piece.Read(reader.Bytes())); break;
                case (2, WireType.Bytes): Trainer.Read(reader.Bytes()); break;
                case (3, WireType.Bytes): Normalizer.Read(reader.Bytes()); break;
                default: reader.Skip(field.Type); break;
            }
    }
}
