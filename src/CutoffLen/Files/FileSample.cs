using System.Security.Cryptography;

namespace CutoffLen.Files;

/// <summary>Tells large files apart without reading all of them.</summary>
internal static class FileSample
{
    private const int Pieces = 256;
    private const int PieceBytes = 4096;

    /// <summary>A hash of the file's length and of 256 pieces of 4 KiB, evenly spread. A smaller file is hashed whole.</summary>
    public static string HashOf(string path)
    {
        using var file = File.OpenHandle(path);
        var length = RandomAccess.GetLength(file);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(BitConverter.GetBytes(length));
        var piece = new byte[PieceBytes];
        var pieces = (int)Math.Min(Pieces, (length + PieceBytes - 1) / PieceBytes);
        for (var n = 0; n < pieces; n++)
        {
            // The last one ends with the file.
            var offset = pieces == 1 ? 0 : Math.Max(0, length - PieceBytes) * n / (pieces - 1);
            var read = RandomAccess.Read(file, piece, offset);
            hash.AppendData(piece, 0, read);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset().AsSpan(0, 8));
    }
}
