namespace CutoffLen.Tests;

/// <summary>A folder of its own for one test, removed at its end.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public TemporaryFolder() => Root = Directory.CreateTempSubdirectory("cutoff-test-").FullName;

    public string Root { get; }

    /// <summary>A path inside the folder.</summary>
    public string this[string name] => Path.Combine(Root, name);

    /// <summary>Writes a file of text, making its folders, and returns its path.</summary>
    public string Write(string name, string text) => Write(name, System.Text.Encoding.UTF8.GetBytes(text));

    /// <summary>Writes a file of bytes, making its folders, and returns its path.</summary>
    public string Write(string name, byte[] bytes)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(this[name])!);
        File.WriteAllBytes(this[name], bytes);
        return this[name];
    }

    /// <summary>Bytes of a file; 0 when there is none.</summary>
    public long LengthOf(string name) => File.Exists(this[name]) ? new FileInfo(this[name]).Length : 0;

    public void Dispose() => Directory.Delete(Root, recursive: true);
}
