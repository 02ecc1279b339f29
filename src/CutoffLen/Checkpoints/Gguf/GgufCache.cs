using System.Security.Cryptography;
using System.Text;
using CutoffLen.Files;

namespace CutoffLen.Checkpoints.Gguf;

/// <summary>
/// The folder <c>cutoff/gguf</c> in the user's cache folder: for each GGUF file that was read a folder in Hugging Face's layout, with the file's settings and
/// its tokenizer, and a link to the file, which keeps the weights.
/// </summary>
internal static class GgufCache
{
    /// <summary>The name of the link.</summary>
    public const string WeightsFile = "model.gguf";

    // Raised whenever a change to this code changes what is in a folder.
    private const int CodeVersion = 2;

    /// <summary>The folder of all.</summary>
    public static string Root => UserCache.Folder("gguf");

    /// <summary>The folder of a file, which may not be there yet. A file that was written since has another.</summary>
    public static string FolderOf(string path)
    {
        var (full, file) = (Path.GetFullPath(path), new FileInfo(path));
        file = file.ResolveLinkTarget(returnFinalTarget: true) as FileInfo ?? file; // Hugging Face's cache is made of links
        var key = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{CodeVersion} {file.Length} {file.LastWriteTimeUtc.Ticks} {full}")).AsSpan(0, 8));
        return Path.Combine(Root, key, Path.GetFileNameWithoutExtension(full));
    }

    /// <summary>The folder of a path, where it is a GGUF file and the folder is there; else null.</summary>
    public static string? Find(string path) => GgufFile.IsOne(path) && FolderOf(path) is var folder && Directory.Exists(folder) ? folder : null;

    /// <summary>The file that a folder was made of; null for folders elsewhere.</summary>
    public static string? FileOf(string folder) =>
        Path.GetFullPath(folder).StartsWith(Root + Path.DirectorySeparatorChar, StringComparison.Ordinal) ? new FileInfo(Path.Combine(folder, WeightsFile)).LinkTarget : null;
}
