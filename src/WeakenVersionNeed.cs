using System;
using System.IO;
using System.Linq;
using System.Text;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

/// <summary>
/// Copies a 64-bit little-endian ELF library. Where libstdc++ lacks a symbol version that the library asks for, the copy
/// asks for it weakly (VER_FLG_WEAK in .gnu.version_r), which the dynamic loader accepts. MSBuild compiles this file; its
/// task factory knows .NET Standard 2.0 only.
/// </summary>
public class WeakenVersionNeed : Task
{
    private const uint VersionNeeds = 0x6ffffffe; // SHT_GNU_verneed
    private const ushort Weak = 2; // VER_FLG_WEAK

    /// <summary>The library as its package has it; only read.</summary>
    public string Source { get; set; }

    /// <summary>Where the copy goes.</summary>
    public string Destination { get; set; }

    /// <summary>The symbol version, such as GLIBCXX_3.4.32.</summary>
    public string Version { get; set; }

    /// <summary>The file that should define the version; when not given, the libstdc++ that runs this build.</summary>
    public string Library { get; set; }

    /// <summary>Writes the copy.</summary>
    public override bool Execute()
    {
        try
        {
            var image = File.ReadAllBytes(Source);
            if (!Defines(string.IsNullOrEmpty(Library) ? LoadedLibstdcxx() : Library, Version) && Weaken(image, Version))
            {
                Log.LogMessage(MessageImportance.High, Path.GetFileName(Source) + ": its need of " + Version + " is made weak, as libstdc++ here lacks it");
            }

            // Under another name first: neither a link into the package cache nor half a library is ever written.
            Directory.CreateDirectory(Path.GetDirectoryName(Destination));
            var unfinished = Destination + "." + Guid.NewGuid().ToString("N");
            File.WriteAllBytes(unfinished, image);
            File.Delete(Destination);
            File.Move(unfinished, Destination);
            return true;
        }
        catch (Exception fault) when (fault is IOException || fault is UnauthorizedAccessException || fault is InvalidDataException)
        {
            Log.LogError(Source + ": " + fault.Message);
            return false;
        }
    }

    private static string LoadedLibstdcxx() =>
        File.ReadLines("/proc/self/maps").Where(line => line.Contains("/libstdc++.so")).Select(line => line.Substring(line.IndexOf('/'))).FirstOrDefault();

    private static bool Defines(string library, string version) =>
        library == null || Encoding.GetEncoding("ISO-8859-1").GetString(File.ReadAllBytes(library)).Contains("\0" + version + "\0");

    /// <summary>Sets the flag on every need of the version; see "Symbol Versioning" in the Linux Standard Base.</summary>
    private static bool Weaken(byte[] image, string version)
    {
        try
        {
            if (BitConverter.ToUInt32(image, 0) != 0x464c457f || image[4] != 2 || image[5] != 1)
            {
                throw new InvalidDataException("not a 64-bit little-endian ELF file");
            }

            var sections = checked((int)BitConverter.ToInt64(image, 40)); // e_shoff
            int SectionAt(int index) => sections + (index * BitConverter.ToUInt16(image, 58)); // e_shentsize
            var found = false;
            for (var index = 0; index < BitConverter.ToUInt16(image, 60); index++) // e_shnum
            {
                if (BitConverter.ToUInt32(image, SectionAt(index) + 4) == VersionNeeds) // sh_type
                {
                    var names = SectionAt(BitConverter.ToInt32(image, SectionAt(index) + 40)); // sh_link
                    found |= WeakenIn(image, Offset(image, SectionAt(index)), Offset(image, names), version);
                }
            }

            return found;
        }
        catch (Exception fault) when (fault is ArgumentException || fault is IndexOutOfRangeException || fault is OverflowException)
        {
            throw new InvalidDataException("a damaged ELF file", fault);
        }
    }

    private static int Offset(byte[] image, int section) => checked((int)BitConverter.ToInt64(image, section + 24)); // sh_offset

    // A list of Verneed (a library), each with a list of Vernaux (a version of it); the last of each has no next.
    private static bool WeakenIn(byte[] image, int need, int names, string version)
    {
        var found = false;
        for (int next = 1; next > 0; need += next)
        {
            var entry = need + BitConverter.ToInt32(image, need + 8); // vn_aux
            for (int nextEntry = 1; nextEntry > 0; entry += nextEntry)
            {
                if (NameAt(image, names + BitConverter.ToInt32(image, entry + 8)) == version) // vna_name
                {
                    image[entry + 4] |= (byte)Weak; // vna_flags
                    found = true;
                }

                nextEntry = BitConverter.ToInt32(image, entry + 12); // vna_next
            }

            next = BitConverter.ToInt32(image, need + 12); // vn_next
        }

        return found;
    }

    private static string NameAt(byte[] image, int start) => Encoding.ASCII.GetString(image, start, Array.IndexOf(image, (byte)0, start) - start);
}
