using System.Buffers.Binary;
using CutoffLen.Common;

namespace CutoffLen.Data;

/// <summary>
/// The first bytes of a token cache file. The file is: this header; the tokens, little-endian uint16 or uint32, filled
/// to a multiple of 8 bytes; one <see cref="CachedDocument"/> a document and one more whose start is the number of
/// tokens.
/// </summary>
/// <param name="Key">32 bytes: the hash of contents and tokenizer.</param>
/// <param name="TokenBytes">2 or 4.</param>
/// <param name="Documents">Documents kept.</param>
/// <param name="Tokens">Tokens of all documents.</param>
/// <param name="EmptyDocuments">Documents left out because they are empty or all white space.</param>
/// <param name="Checksum">CRC-32C of everything after the header.</param>
internal sealed record TokenCacheHeader(
    byte[] Key, int TokenBytes, long Documents, long Tokens, long EmptyDocuments, uint Checksum)
{
    public const int Size = 128;

    private const int ChecksumAt = Size - sizeof(uint);

    // Changes with the layout and with the way in which documents are read and cut.
    private const int Version = 3;

    private static ReadOnlySpan<byte> Magic => "CutoffTk"u8;

    public long TokensLength => ((Tokens * TokenBytes) + 7) / 8 * 8;

    public long FileLength => Size + TokensLength + ((Documents + 1) * CachedDocument.Size);

    public byte[] ToBytes()
    {
        var bytes = new byte[Size];
        Magic.CopyTo(bytes);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(8), Version);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(12), TokenBytes);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(16), Documents);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(24), Tokens);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(32), EmptyDocuments);
        Key.CopyTo(bytes.AsSpan(40));
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(72), Checksum);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(ChecksumAt), Crc32C.Of(bytes.AsSpan(0, ChecksumAt)));
        return bytes;
    }

    /// <summary>The header that the bytes hold, or null when they are not a whole header of this version.</summary>
    public static TokenCacheHeader? FromBytes(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < Size || !bytes.StartsWith(Magic) || BinaryPrimitives.ReadInt32LittleEndian(bytes[8..]) != Version
            || BinaryPrimitives.ReadUInt32LittleEndian(bytes[ChecksumAt..]) != Crc32C.Of(bytes[..ChecksumAt]))
        {
            return null;
        }

        var header = new TokenCacheHeader(
            bytes.Slice(40, 32).ToArray(),
            BinaryPrimitives.ReadInt32LittleEndian(bytes[12..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[16..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[24..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[32..]),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[72..]));
        // Counts of no file, whose products overflow.
        return header is { TokenBytes: sizeof(ushort) or sizeof(int), Documents: >= 0 and < int.MaxValue, Tokens: >= 0 and < 1L << 56 } ? header : null;
    }
}

/// <summary>An entry of the document table.</summary>
/// <param name="Start">Index of the document's first token.</param>
/// <param name="File">Index of its file among those read.</param>
/// <param name="Line">The line, from 1, where it begins in the file.</param>
/// <param name="Words">Its pieces between white space.</param>
/// <param name="Bytes">Its length in UTF-8 bytes; of a record words and bytes are those of the completion.</param>
/// <param name="Prompt">The tokens of its prompt; 0 for text.</param>
internal readonly record struct CachedDocument(long Start, int File, int Line, long Words, long Bytes, long Prompt)
{
    public const int Size = 40;

    public void WriteTo(Span<byte> bytes)
    {
        BinaryPrimitives.WriteInt64LittleEndian(bytes, Start);
        BinaryPrimitives.WriteInt32LittleEndian(bytes[8..], File);
        BinaryPrimitives.WriteInt32LittleEndian(bytes[12..], Line);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[16..], Words);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[24..], Bytes);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[32..], Prompt);
    }

    public static CachedDocument ReadFrom(ReadOnlySpan<byte> bytes) => new(
        BinaryPrimitives.ReadInt64LittleEndian(bytes),
        BinaryPrimitives.ReadInt32LittleEndian(bytes[8..]),
        BinaryPrimitives.ReadInt32LittleEndian(bytes[12..]),
        BinaryPrimitives.ReadInt64LittleEndian(bytes[16..]),
        BinaryPrimitives.ReadInt64LittleEndian(bytes[24..]),
        BinaryPrimitives.ReadInt64LittleEndian(bytes[32..]));
}
