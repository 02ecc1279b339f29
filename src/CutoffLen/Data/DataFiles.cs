using CutoffLen.Common;
using Microsoft.Extensions.FileSystemGlobbing;

namespace CutoffLen.Data;

/// <summary>How a data file holds documents.</summary>
public enum DataFormat
{
    /// <summary>.txt: the file is one document.</summary>
    Text,

    /// <summary>.jsonl: every line is a JSON object, a field of which is a document.</summary>
    JsonLines,

    /// <summary>.parquet: every row is a document, the string in one of its columns.</summary>
    Parquet,
}

/// <summary>How a data file is compressed.</summary>
public enum DataCompression
{
    /// <summary>Not at all.</summary>
    None,

    /// <summary>.gz: gzip (RFC 1952).</summary>
    Gzip,

    /// <summary>.zst: Zstandard (RFC 8878).</summary>
    Zstandard,
}

/// <summary>A file of documents.</summary>
/// <param name="Path">As the user may open it.</param>
/// <param name="Format">How it holds documents.</param>
/// <param name="Compression">How it is compressed.</param>
/// <param name="TextField">The field of a line, or the column, with the text.</param>
public sealed record DataFile(string Path, DataFormat Format, DataCompression Compression = DataCompression.None, string TextField = DataFile.StandardTextField)
{
    /// <summary>Where most data sets have their text.</summary>
    public const string StandardTextField = "text";

    /// <summary>The document that begins at a line or row, from 1.</summary>
    public string Describe(int line) => Format switch
    {
        DataFormat.JsonLines => $"{Path} line {line}",
        DataFormat.Parquet => $"{Path} row {line}",
        _ => Path,
    };

    /// <summary>The file's bytes, decompressed as they are read. Damage is an <see cref="InvalidDataException"/> then.</summary>
    internal Stream Open()
    {
        var file = new FileStream(Path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
        return Compression == DataCompression.None ? file : new DecompressedStream(file, Compression);
    }
}

/// <summary>
/// Finds the files that the user's paths mean: files, folders (every .txt, .jsonl and .parquet below) and globs with
/// <c>*</c> and <c>**</c>. The order is that of the paths, and ordinal by relative path inside a folder or glob, so it is
/// the same on every machine. A file reached twice is taken once. Folders and globs leave out names that begin with a
/// dot, and do not follow links to folders, which could form loops.
/// </summary>
public static class DataFiles
{
    private const string Allowed = ".txt (a document a file), .jsonl (a document a line), also as .gz and .zst, and .parquet (a document a row)";

    /// <summary>The files, in order.</summary>
    /// <param name="paths">What the user gave.</param>
    /// <param name="textField">The field of .jsonl lines and the column of .parquet files with the text.</param>
    /// <exception cref="UserException">A path that is not there, of another kind, or that means no file at all.</exception>
    public static IReadOnlyList<DataFile> Find(IEnumerable<string> paths, string textField = DataFile.StandardTextField)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var files = new List<DataFile>();
        foreach (var path in paths)
        {
            files.AddRange(Expand(path).Where(file => seen.Add(Path.GetFullPath(file.Path))));
        }

        return files.Count > 0 ? [.. files.Select(file => file with { TextField = textField })] : throw new UserException($"no data given; allowed are files, folders and globs of {Allowed}");
    }

    private static List<DataFile> Expand(string path)
    {
        if (File.Exists(path))
        {
            return [FileOf(path) ?? throw new UserException($"{path}: not a kind of data that can be read; allowed are {Allowed}")];
        }

        var glob = !Directory.Exists(path) && path.Contains('*');
        if (!glob && !Directory.Exists(path))
        {
            throw new UserException($"{path}: no such file or folder");
        }

        var found = glob ? Glob(path) : Below(path, "");
        return found.Count > 0
            ? found
            : throw new UserException($"{path}: {(glob ? "matches no file" : "the folder holds no file")} that can be read; allowed are {Allowed}");
    }

    private static List<DataFile> Glob(string path)
    {
        // Matched are relative paths below the last folder without a wildcard, with forward slashes.
        var parts = path.Split('/', Path.DirectorySeparatorChar);
        var plain = parts.TakeWhile(part => !part.Contains('*')).ToArray();
        var root = plain.Length == 0 ? "." : plain is [""] ? "/" : string.Join('/', plain);
        var matcher = new Matcher(StringComparison.Ordinal).AddInclude(string.Join('/', parts[plain.Length..]));
        return Directory.Exists(root)
            ? [.. Below(root, plain.Length == 0 ? "" : root).Where(file => matcher.Match(Path.GetRelativePath(root, file.Path)).HasMatches)]
            : throw new UserException($"{path}: no folder {root}");
    }

    /// <summary>All data files below a folder, written with the given prefix.</summary>
    private static List<DataFile> Below(string folder, string prefix)
    {
        var options = new EnumerationOptions
        {
            RecurseSubdirectories = false,
            AttributesToSkip = FileAttributes.Hidden | FileAttributes.System,
            IgnoreInaccessible = false,
        };
        var found = new List<string>();
        var open = new Stack<DirectoryInfo>([new(folder)]);
        while (open.TryPop(out var next))
        {
            try
            {
                foreach (var entry in next.EnumerateFileSystemInfos("*", options))
                {
                    if (entry is DirectoryInfo { LinkTarget: null } directory)
                    {
                        open.Push(directory);
                    }
                    else if (entry is FileInfo && FileOf(entry.Name) is not null)
                    {
                        found.Add(Path.GetRelativePath(folder, entry.FullName));
                    }
                }
            }
            catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
            {
                throw new UserException($"{next.FullName}: cannot list the folder: {fault.Message}", fault);
            }
        }

        found.Sort(StringComparer.Ordinal);
        var start = prefix.Length > 0 || folder == "." ? prefix : folder;
        return [.. found.Select(name => FileOf(Path.Join(start, name))!)];
    }

    /// <summary>A file by its name's endings, such as .jsonl.gz; null for other kinds.</summary>
    private static DataFile? FileOf(string path)
    {
        var compression = Ending(path) switch
        {
            ".GZ" => DataCompression.Gzip,
            ".ZST" => DataCompression.Zstandard,
            _ => DataCompression.None,
        };
        return Ending(compression == DataCompression.None ? path : Path.GetFileNameWithoutExtension(path)) switch
        {
            ".TXT" => new DataFile(path, DataFormat.Text, compression),
            ".JSONL" => new DataFile(path, DataFormat.JsonLines, compression),
            ".PARQUET" when compression == DataCompression.None => new DataFile(path, DataFormat.Parquet),
            _ => null,
        };
    }

    private static string Ending(string path) => Path.GetExtension(path).ToUpperInvariant();
}
