using System.Reflection;
using TorchSharp;

namespace CutoffLen.Hardware;

/// <summary>Where this program's torch comes from and whether it works.</summary>
/// <param name="Source"><c>package</c> (NuGet) or <c>system</c> (the machine's libtorch), as chosen by scripts/setup.</param>
/// <param name="Torchsharp">Version of the TorchSharp assembly.</param>
/// <param name="Libtorch">Version of libtorch, or null when it did not load.</param>
/// <param name="Problem">Why libtorch did not load, or null.</param>
public sealed record TorchLibrary(string Source, string Torchsharp, string? Libtorch, string? Problem)
{
    /// <summary>Loads libtorch and says how that went.</summary>
    public static TorchLibrary Load()
    {
        var source = typeof(TorchLibrary).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(data => data.Key == "TorchSource").Value!;
        var assembly = typeof(torch).Assembly;
        var version = assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? assembly.GetName().Version!.ToString();
        var output = Console.Out;
        try
        {
            Console.SetOut(TextWriter.Null); // the package prints what it throws, into the JSON of a report
            // Any native call loads it; the version alone is a constant in the package.
            _ = torch.get_num_threads();
            return new TorchLibrary(source, version, torch.__version__, null);
        }
        catch (Exception failure) when (IsLoadFailure(failure))
        {
            return new TorchLibrary(source, version, null, failure.GetBaseException().Message.ReplaceLineEndings(" ").Trim());
        }
        finally
        {
            Console.SetOut(output);
        }
    }

    /// <summary>Loads libtorch or explains what is missing.</summary>
    /// <exception cref="UserException">It does not load.</exception>
    public static void Require()
    {
        if (Load() is { Problem: { } problem } library)
        {
            throw new UserException($"libtorch does not load (TorchSource={library.Source}): {problem}; scripts/setup installs what is missing, 'cutoff env' shows the state");
        }
    }

    private static bool IsLoadFailure(Exception failure) =>
        failure is TypeInitializationException or DllNotFoundException or EntryPointNotFoundException or BadImageFormatException or NotSupportedException;
}
