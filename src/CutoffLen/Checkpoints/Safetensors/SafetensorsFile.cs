using CutoffLen.Common;
using CutoffLen.Files;
using Microsoft.Win32.SafeHandles;
using TorchSharp;
using static TorchSharp.torch;

namespace CutoffLen.Checkpoints.Safetensors;

/// <summary>
/// An open safetensors file. A tensor read to the CPU in its stored dtype is a view into a private memory map: nothing is
/// read before it is used, and writing into it leaves the file alone. Anything else (another dtype, a GPU, an offset that
/// is not a multiple of the element size) is read in pieces straight into its destination.
/// </summary>
public sealed class SafetensorsFile : ITensorFile
{
    private const int PieceBytes = 16 << 20;

    private readonly Dictionary<string, SafetensorsEntry> byName;
    private readonly Dictionary<ScalarType, Tensor> maps = [];
    private readonly long fileBytes;

    private SafetensorsFile(string path, IReadOnlyList<SafetensorsEntry> tensors, IReadOnlyDictionary<string, string> metadata)
    {
        Path = path;
        Tensors = tensors;
        Metadata = metadata;
        byName = tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        fileBytes = tensors.Count == 0 ? 0 : tensors[^1].Offset + tensors[^1].Bytes;
    }

    /// <summary>Where the file is.</summary>
    public string Path { get; }

    /// <summary>The tensors in the order of their bytes.</summary>
    public IReadOnlyList<SafetensorsEntry> Tensors { get; }

    /// <summary>The file's own remarks ("__metadata__").</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Opens a file and checks its whole header.</summary>
    /// <exception cref="UserException">The file is missing, damaged, or holds a dtype that is not supported.</exception>
    public static SafetensorsFile Open(string path)
    {
        var (tensors, metadata) = SafetensorsHeader.Read(path);
        return new SafetensorsFile(path, tensors, metadata);
    }

    /// <summary>A file of another format, with tensors whose places are checked.</summary>
    internal static SafetensorsFile Over(string path, IReadOnlyList<SafetensorsEntry> tensors) => new(path, tensors, new Dictionary<string, string>());

    /// <summary>Reads one tensor.</summary>
    /// <param name="name">Its name in the file.</param>
    /// <param name="dtype">The wanted element type; null for the stored one.</param>
    /// <param name="device">Where it shall be; null for the CPU.</param>
    public Tensor Read(string name, ScalarType? dtype = null, Device? device = null)
    {
        var entry = byName.TryGetValue(name, out var found)
            ? found
            : throw new UserException($"{Path}: has no tensor {JsonFile.Show(name)}");
        var wanted = dtype ?? entry.Dtype;
        var place = device ?? CPU;
        if (entry.Bytes == 0)
        {
            return empty(entry.Shape, wanted, place);
        }

        return wanted == entry.Dtype && place.type == DeviceType.CPU && entry.Offset % SafetensorsHeader.Describe(wanted).Bytes == 0
            ? View(entry)
            : Copy(entry, wanted, place);
    }

    private Tensor View(SafetensorsEntry entry)
    {
        var width = SafetensorsHeader.Describe(entry.Dtype).Bytes;
        if (!maps.TryGetValue(entry.Dtype, out var map))
        {
            CheckLength();
            map = from_file(Path, shared: false, size: fileBytes / width, dtype: entry.Dtype).DetachFromDisposeScope();
            maps.Add(entry.Dtype, map);
        }

        using var flat = map.narrow(0, entry.Offset / width, entry.Bytes / width);
        return flat.view(entry.Shape);
    }

    // Beyond the end of a file that shrank after Open, touching a map ends the process.
    private void CheckLength()
    {
        if (!File.Exists(Path) || JsonFile.LengthOf(Path) < fileBytes)
        {
            throw new UserException($"{Path}: became shorter or vanished after it was opened");
        }
    }

    private Tensor Copy(SafetensorsEntry entry, ScalarType wanted, Device place)
    {
        var width = SafetensorsHeader.Describe(entry.Dtype).Bytes;
        var result = empty(entry.Shape, wanted, place);
        using var handle = OpenHandle();
        using var flat = result.view(-1);
        using var piece = empty(Math.Min(entry.Bytes, PieceBytes) / width, entry.Dtype);
        for (var read = 0L; read < entry.Bytes;)
        {
            var bytes = (int)Math.Min(entry.Bytes - read, PieceBytes);
            SafetensorsHeader.ReadFully(handle, piece.bytes[..bytes], entry.Offset + read, Path);
            using var part = piece.narrow(0, 0, bytes / width);
            using var destination = flat.narrow(0, read / width, bytes / width);
            destination.copy_(part);
            read += bytes;
        }

        return result;
    }

    private SafeFileHandle OpenHandle()
    {
        try
        {
            return File.OpenHandle(Path, options: FileOptions.SequentialScan);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{Path}: cannot be read: {fault.Message}", fault);
        }
    }

    /// <summary>
    /// Maps the file anew at the next reading, so that tensors read before and after share no memory. Tensors of the same
    /// map share it: what is written into one shows in another of the same name.
    /// </summary>
    public void ForgetMaps()
    {
        foreach (var map in maps.Values)
        {
            map.Dispose();
        }

        maps.Clear();
    }

    /// <summary>Lets go of the file; tensors already read stay valid.</summary>
    public void Dispose() => ForgetMaps();
}
