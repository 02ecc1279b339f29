using System.Buffers.Binary;
using System.Text;

namespace Standins.Tests.Tokenizers;

/// <summary>A piece of a SentencePiece model; types as in the file: 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte.</summary>
internal sealed record ModelPiece(string Text, float Score, int Type = 1);

/// <summary>
/// A SentencePiece model file, as far as BPE models go (sentencepiece_model.proto): to read one with no help from the
/// code under test, and to write one with settings that no training gives.
/// </summary>
internal sealed record ModelFile
{
    public List<ModelPiece> Pieces { get; init; } = [new("<unk>", 0, 2), new("<s>", 0, 3), new("</s>", 0, 3)];

    public int ModelType { get; init; } = 2;

    public string NormalizerName { get; init; } = "identity";

    public byte[] CharacterMap { get; init; } = [];

    public bool ByteFallback { get; init; }

    public bool AddDummyPrefix { get; init; } = true;

    public bool RemoveExtraWhitespaces { get; init; }

    public bool EscapeWhitespaces { get; init; } = true;

    public bool TreatWhitespaceAsSuffix { get; init; }

    public int UnknownId { get; init; }

    public MemoryStream Open() => new(Write());

    public byte[] Write() =>
    [
        .. Pieces.SelectMany(piece => Field(1, [.. Field(1, Encoding.UTF8.GetBytes(piece.Text)), .. Field(2, piece.Score), .. Field(3, piece.Type)])),
        .. Field(2, [.. Field(3, ModelType), .. Field(24, TreatWhitespaceAsSuffix ? 1 : 0), .. Field(35, ByteFallback ? 1 : 0), .. Field(40, UnknownId), .. Field(43, -1)]),
        .. Field(3, [.. Field(1, Encoding.UTF8.GetBytes(NormalizerName)), .. Field(2, CharacterMap), .. Field(3, AddDummyPrefix ? 1 : 0), .. Field(4, RemoveExtraWhitespaces ? 1 : 0), .. Field(5, EscapeWhitespaces ? 1 : 0)]),
    ];

    public static ModelFile Read(byte[] file)
    {
        var model = new ModelFile { Pieces = [] };
        foreach (var (field, _, bytes) in Fields(file))
            model = field switch
            {
                1 => model.With(ReadPiece(bytes)),
                2 => model.WithTrainerSpec(bytes),
                3 => model.WithNormalizerSpec(bytes),
                _ => model,
            };
        return model;
    }

    private static ModelPiece ReadPiece(byte[] message)
    {
        var piece = new ModelPiece("", 0);
        foreach (var (field, number, bytes) in Fields(message))
            piece = field switch
            {
                1 => piece with { Text = Encoding.UTF8.GetString(bytes) },
                2 => piece with { Score = BinaryPrimitives.ReadSingleLittleEndian(bytes) },
                3 => piece with { Type = (int)number },
                _ => piece,
            };
        return piece;
    }

    private ModelFile With(ModelPiece piece)
    {
        Pieces.Add(piece);
        return this;
    }

    private ModelFile WithTrainerSpec(byte[] message)
    {
        var model = this;
        foreach (var (field, number, _) in Fields(message))
            model = field switch
            {
                24 => model with { TreatWhitespaceAsSuffix = number != 0 },
                35 => model with { ByteFallback = number != 0 },
                40 => model with { UnknownId = (int)number },
                _ => model,
            };
        return model;
    }

    private ModelFile WithNormalizerSpec(byte[] message)
    {
        var model = this with { RemoveExtraWhitespaces = true };
        foreach (var (field, number, _) in Fields(message))
            model = field switch
            {
                3 => model with { AddDummyPrefix = number != 0 },
                4 => model with { RemoveExtraWhitespaces = number != 0 },
                5 => model with { EscapeWhitespaces = number != 0 },
                _ => model,
            };
        return model;
    }

    private static IEnumerable<(int Field, long Number, byte[] Bytes)> Fields(byte[] message)
    {
        for (var at = 0; at < message.Length;)
        {
            var tag = Varint(message, ref at);
            var size = (tag & 7) switch { 0 => 0, 1 => 8, 5 => 4, _ => -1 };
            var number = (tag & 7) is 0 or 2 ? Varint(message, ref at) : 0;
            var length = size < 0 ? (int)number : size;
            yield return ((int)(tag >> 3), number, message[at..(at + length)]);
            at += length;
        }
    }

    private static long Varint(byte[] message, ref int at)
    {
        long value = 0;
        for (var shift = 0; ; shift += 7)
        {
            var part = message[at++];
            value |= (long)(part & 0x7F) << shift;
            if (part < 0x80)
                return value;
        }
    }

    private static IEnumerable<byte> Varint(ulong value)
    {
        for (; value >= 0x80; value >>= 7)
            yield return (byte)(value | 0x80);
        yield return (byte)value;
    }

    private static byte[] Field(int field, int value) => [.. Varint((ulong)field << 3), .. Varint((ulong)(long)value)];

    private static byte[] Field(int field, float value) => [.. Varint((ulong)field << 3 | 5), .. BitConverter.GetBytes(value)];

    private static byte[] Field(int field, byte[] value) => [.. Varint((ulong)field << 3 | 2), .. Varint((ulong)value.Length), .. value];
}
